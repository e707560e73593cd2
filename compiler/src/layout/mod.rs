//! Which thread holds which element of a tile: linear layouts.
//!
//! A GPU program is a block of warps, a warp is a row of lanes, a lane has registers. A tile of 4×8 elements over
//! 4 lanes with two registers each, one warp, two passes down the rows:
//!
//! ```text
//!             column 0   1   2   3   4   5   6   7          element (r, c) is held by
//!    row 0       L0r0 L0r1 L1r0 L1r1 L2r0 L2r1 L3r0 L3r1        lane      c / 2
//!    row 1       L0r2 L0r3 L1r2 L1r3 L2r2 L2r3 L3r2 L3r3        register  c % 2 + 2·r
//! ```
//!
//! Every extent here is a power of two, so the rule is one about *bits*: register bit 0 moves by (0,1), register bit
//! 1 by (1,0), lane bit 0 by (0,2), lane bit 1 by (0,4), and the element of any (register, lane) is the XOR of the
//! moves of its set bits. Such a map is linear over F2, the field of one bit. All layouts that hardware uses are of
//! this kind: blocked ones, matrix fragments, swizzled shared memory. So one type, [`Linear`], states them all;
//! conversion between two is a product with an inverse; and "do these lanes hit one bank?" is a question about ranks.
//!
//! | file | what |
//! | --- | --- |
//! | [`linear`] | the type: basis vectors per input bit, evaluation |
//! | [`text`] | its text form, `reg=[0,1;1,0] lane=[0,2;0,4] warp=[] shape=2x8`, printed and parsed |
//! | [`build`] | blocked layouts, products, a hardware fragment repeated over a tile |
//! | [`shape`] | what reduce, expand, transpose, reshape, broadcast, join and split do to a layout |
//! | [`algebra`] | composition, inverse, division |
//! | [`index`] | coordinates as sums of shifted bits, contiguity, tiles whose extents are no powers of two |
//! | [`shared`], [`banks`], [`mod@choose`] | layouts of shared memory, what an access costs, which buffer to take |
//! | [`convert`] | from one layout to another: registers, shuffles or shared memory |
//! | [`draw`] | pictures of layouts, as text and as SVG |
//! | [`matrix`] | solving over F2 |
//!
//! Extents of a layout are powers of two; a tile with others lies in the layout of the next powers (see
//! [`Linear::coverage`]). Tiles have rank 0 to 3; a ring of stages in front is kept outside of the layout.

pub mod algebra;
pub mod banks;
pub mod build;
pub mod choose;
pub mod convert;
pub mod draw;
pub mod error;
pub mod index;
pub mod linear;
pub mod matrix;
pub mod shape;
pub mod shared;
pub mod text;

pub use algebra::Map;
pub use banks::{Banks, Phase, Traffic};
pub use build::{Blocked, WarpsAlong};
pub use choose::{Choice, Demand, Use, choose};
pub use convert::{Abilities, Conversion, Exchange, Staging, apply_conversion, plan_conversion};
pub use draw::Picture;
pub use error::LayoutError;
pub use index::{Coverage, Index, Part, Presence};
pub use linear::{Coord, Dim, Linear, Position};
pub use shape::Dense;
pub use shared::{Access, Padding, Shared, Swizzle};
