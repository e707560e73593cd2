//! What can go wrong between a host program and a kernel, each with the argument or file it concerns.

use kcc_dsl::exchange::{Diagnostic, Severity};
use kcc_dsl::ir::{Elem, Loc};
use std::fmt;
use std::path::PathBuf;

/// Result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation of the runtime failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A launch argument does not fit its parameter.
    #[error("kernel `{kernel}`: argument `{argument}`: {problem}")]
    Argument {
        /// The kernel's name with its generic arguments.
        kernel: String,
        /// The parameter's name.
        argument: String,
        /// What does not fit.
        problem: Box<ArgumentProblem>,
    },
    /// The wrong number of launch arguments.
    #[error("kernel `{kernel}` takes {expected} arguments, {given} were given")]
    ArgumentCount {
        /// The kernel.
        kernel: String,
        /// Number of parameters.
        expected: usize,
        /// Number of arguments.
        given: usize,
    },
    /// A grid without programs, or one that is too large to count.
    #[error("kernel `{kernel}`: a grid of {}x{}x{} is not possible: each axis needs 1 to {max} programs", grid[0], grid[1], grid[2], max = i32::MAX)]
    Grid {
        /// The kernel.
        kernel: String,
        /// Programs per axis, as given.
        grid: [i64; 3],
    },
    /// A tensor or view that cannot exist.
    #[error("{0}")]
    View(#[from] ViewError),
    /// Memory could not be had.
    #[error("out of memory: {bytes} bytes for a tensor")]
    OutOfMemory {
        /// How much was asked for.
        bytes: usize,
    },
    /// A device name that means nothing.
    #[error(
        "no device is called `{name}`; there are `cpu`, `cpu:THREADS`, `eager`, `cuda`, `cuda:INDEX`, `hip`, `hip:INDEX`, `ascend`, `ascend:INDEX`, `sim:CHIP` as in `sim:sm_90a`, and `emu:CHIP` as in `emu:gfx942`"
    )]
    UnknownDevice {
        /// The name.
        name: String,
    },
    /// A device that this machine or this build lacks, or that stopped working.
    #[error("device `{device}`: {reason}")]
    Device {
        /// The device's name.
        device: String,
        /// What happened and what to do.
        reason: String,
    },
    /// A launch that exceeds what the device can do.
    #[error("kernel `{kernel}` cannot be launched: {reason}")]
    Limit {
        /// The kernel.
        kernel: String,
        /// The limit, the number, and what to do.
        reason: String,
    },
    /// A target name that the machine cannot run, or that means nothing.
    #[error("target `{target}`: {reason}")]
    Target {
        /// The target.
        target: String,
        /// Why not.
        reason: String,
    },
    /// Tracing or compiling the kernel failed; the messages are about the author's source.
    #[error("kernel `{kernel}` does not compile:{}", Messages(diagnostics))]
    Compile {
        /// The kernel.
        kernel: String,
        /// At least one message.
        diagnostics: Vec<Diagnostic>,
    },
    /// The compiler could not be reached, or died.
    #[error("kernel `{kernel}`: {reason}")]
    Compiler {
        /// The kernel that was to be compiled.
        kernel: String,
        /// What happened and what to do.
        reason: String,
    },
    /// An assertion of the kernel, or a check of eager mode, failed while it ran.
    #[error("kernel `{kernel}` stopped: {diagnostic}", diagnostic = Messages(std::slice::from_ref(diagnostic)))]
    Stopped {
        /// The kernel.
        kernel: String,
        /// Place and message.
        diagnostic: Box<Diagnostic>,
    },
    /// Compiled code that cannot be loaded.
    #[error("cannot load the code of kernel `{kernel}`: {reason}")]
    Load {
        /// The kernel, or the file.
        kernel: String,
        /// Why not.
        reason: String,
    },
    /// No variant of a pack's kernel may be chosen for the arguments.
    #[error("kernel `{kernel}`: {reason}")]
    Variant {
        /// The kernel.
        kernel: String,
        /// The arguments, and what stands in the way.
        reason: String,
    },
    /// A file that cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file that can be read and makes no sense.
    #[error("{path}: {reason}", path = path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system refused threads or memory mappings.
    #[error("{what}: {reason}")]
    System {
        /// What was asked of it.
        what: &'static str,
        /// Its answer.
        reason: String,
    },
}

/// Why an argument does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentProblem {
    /// Another number of axes.
    #[error("the kernel takes rank {expected}, the tensor has rank {given} (dims {dims:?})")]
    Rank {
        /// The parameter's rank.
        expected: usize,
        /// The tensor's rank.
        given: usize,
        /// The tensor's dims.
        dims: Vec<i64>,
    },
    /// Another element type.
    #[error("the kernel takes {expected}, {given} was given")]
    Elem {
        /// The parameter's.
        expected: Elem,
        /// The argument's.
        given: Elem,
    },
    /// A scalar where a view belongs or the other way round.
    #[error("the kernel takes a {expected}, a {given} was given")]
    Kind {
        /// `view`, `mutable view` or `scalar`.
        expected: &'static str,
        /// Likewise.
        given: &'static str,
    },
    /// A written argument shares memory with another one.
    #[error("the kernel writes it, but it shares memory with argument `{other}`")]
    Alias {
        /// The other argument.
        other: String,
    },
    /// A stride layout other than the one that a prepared launch was compiled for.
    #[error("the prepared kernel was compiled for unit stride on {expected}, the tensor has it on {given}")]
    Layout {
        /// Axis, or `no axis`.
        expected: String,
        /// Axis, or `no axis`.
        given: String,
    },
    /// Memory of another device.
    #[error("its memory belongs to another device; copy it to the host or to this device first")]
    Place,
    /// Alignments or sizes short of those that a prepared launch was compiled for.
    #[error(
        "the prepared kernel relies on alignments ({expected}), the tensor has ({given}); prepare it with this tensor"
    )]
    Facts {
        /// What the code relies on.
        expected: String,
        /// What the tensor has.
        given: String,
    },
    /// A workspace that is too small.
    #[error("the launch needs {needed} bytes of workspace, {given} were given")]
    Workspace {
        /// What [`Choice::workspace`](crate::pack::Choice::workspace) says.
        needed: u64,
        /// The workspace's.
        given: u64,
    },
    /// A view-level problem.
    #[error("{0}")]
    View(ViewError),
}

/// Why a tensor or view cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// The address is null.
    #[error("the pointer is null")]
    Null,
    /// The address is not a multiple of the element size.
    #[error("the pointer {address:#x} is not aligned for {elem}")]
    Unaligned {
        /// The address.
        address: usize,
        /// Element type.
        elem: Elem,
    },
    /// The buffer ends before the view does.
    #[error("dims {dims:?} with strides {strides:?} need {needed} elements, the buffer has {given}")]
    TooSmall {
        /// The view's dims.
        dims: Vec<i64>,
        /// The view's strides.
        strides: Vec<i64>,
        /// Elements needed.
        needed: u64,
        /// Elements there.
        given: usize,
    },
    /// The element counts of two shapes differ.
    #[error("dims {to:?} have {to_count} elements, {from:?} have {from_count}")]
    Count {
        /// The dims before.
        from: Vec<i64>,
        /// The dims asked for.
        to: Vec<i64>,
        /// Elements before.
        from_count: u64,
        /// Elements asked for.
        to_count: u64,
    },
    /// The dims are too many, negative, or their product does not fit the machine.
    #[error("dims {dims:?} are not possible: {reason}")]
    Dims {
        /// The dims.
        dims: Vec<i64>,
        /// What is wrong.
        reason: &'static str,
    },
    /// Numbers of dims and strides differ.
    #[error("{dims} dims, but {strides} strides")]
    StrideCount {
        /// Number of dims.
        dims: usize,
        /// Number of strides.
        strides: usize,
    },
    /// An axis that is not there.
    #[error("axis {axis} of a view of rank {rank}")]
    Axis {
        /// The axis.
        axis: usize,
        /// The rank.
        rank: usize,
    },
    /// A range that leaves its axis.
    #[error("range {start}..{end} on axis {axis}, which has {extent} elements")]
    Range {
        /// The axis.
        axis: usize,
        /// First element.
        start: i64,
        /// One past the last element.
        end: i64,
        /// The axis' extent.
        extent: i64,
    },
    /// Not a permutation of the axes.
    #[error("{given:?} is no permutation of the {rank} axes")]
    Permutation {
        /// What was given.
        given: Vec<usize>,
        /// Number of axes.
        rank: usize,
    },
    /// Strides under which no reshape without a copy exists.
    #[error("dims {from:?} with strides {strides:?} cannot be seen as {to:?} without a copy")]
    NeedsCopy {
        /// The dims before.
        from: Vec<i64>,
        /// The strides before.
        strides: Vec<i64>,
        /// The dims asked for.
        to: Vec<i64>,
    },
    /// Dims that do not broadcast.
    #[error("dims {from:?} do not broadcast to {to:?}: an axis must be equal or 1")]
    Broadcast {
        /// The dims before.
        from: Vec<i64>,
        /// The dims asked for.
        to: Vec<i64>,
    },
    /// A mutable view of which two indices name one element.
    #[error("a mutable view with dims {dims:?} and strides {strides:?} would name an element twice")]
    Overlap {
        /// The view's dims.
        dims: Vec<i64>,
        /// The view's strides.
        strides: Vec<i64>,
    },
}

/// Shows messages one a line: place, fact, remedy.
struct Messages<'a>(&'a [Diagnostic]);

impl fmt::Display for Messages<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = self.0.len() == 1;
        for d in self.0 {
            f.write_str(if one { " " } else { "\n  " })?;
            if let Some(loc) = &d.loc {
                write!(f, "{loc}: ")?;
            }
            if d.severity == Severity::Bug {
                f.write_str("internal error: ")?;
            }
            f.write_str(&d.message)?;
            if let Some(help) = &d.help {
                write!(f, " (help: {help})")?;
            }
        }
        Ok(())
    }
}

impl Error {
    /// The messages about the author's source, if this is what went wrong.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            Error::Compile { diagnostics, .. } => diagnostics,
            Error::Stopped { diagnostic, .. } => std::slice::from_ref(diagnostic),
            _ => &[],
        }
    }

    /// Whether a broken invariant of kcc is to blame, rather than the input.
    pub fn is_bug(&self) -> bool {
        self.diagnostics().iter().any(|d| d.severity == Severity::Bug)
    }

    /// An argument that does not fit.
    pub(crate) fn argument(
        kernel: impl Into<String>,
        argument: impl Into<String>,
        problem: ArgumentProblem,
    ) -> Self {
        Error::Argument { kernel: kernel.into(), argument: argument.into(), problem: Box::new(problem) }
    }

    /// Names the line of the author's source in an error about code, where it is known.
    pub(crate) fn at_source(mut self, loc: Option<&Loc>) -> Self {
        if let (Error::Load { reason, .. } | Error::Limit { reason, .. }, Some(loc)) = (&mut self, loc) {
            reason.push_str(&format!("; the kernel is written at {loc}"));
        }
        self
    }

    /// Code that was loaded for another device.
    pub(crate) fn other_device(kernel: &str) -> Self {
        Error::Load { kernel: kernel.into(), reason: "compiled for another device".into() }
    }

    /// A failed file operation.
    pub(crate) fn file(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Error::File { path: path.into(), source }
    }

    /// An assertion that failed while the kernel ran.
    pub(crate) fn stopped(kernel: impl Into<String>, message: String, loc: Option<Loc>) -> Self {
        let diagnostic = Diagnostic { severity: Severity::Error, loc, message, help: None };
        Error::Stopped { kernel: kernel.into(), diagnostic: Box::new(diagnostic) }
    }
}
