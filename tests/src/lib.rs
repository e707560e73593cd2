//! Cross-crate tests of kcc.

/// The code of the README, run as doc tests: on the CPU, hence with a `kcc` program at hand (`make test` builds it).
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The code of the page on debugging, run as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/eager.md")]
struct Eager;

/// The code of the page on packs, run as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/packs.md")]
struct Packs;

/// The code of the cookbook, run as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/cookbook.md")]
struct Cookbook;
