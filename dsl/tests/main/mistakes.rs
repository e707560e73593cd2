//! Mistakes that rustc cannot see: each becomes a diagnostic with the author's line, and rustc's messages for the rest
//! are pinned in `ui/`.

use kcc_dsl::exchange::Diagnostic;
use kcc_dsl::prelude::*;

fn only<A>(k: &KernelDef<A>) -> Diagnostic {
    let mut found = k.trace().unwrap_err();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn line_of(d: &Diagnostic) -> &'static str {
    let loc = d.loc.as_ref().unwrap();
    assert!(loc.file.ends_with("mistakes.rs"), "{loc}");
    include_str!("mistakes.rs").lines().nth(loc.line as usize - 1).unwrap()
}

#[kernel]
fn missing_axis(x: &View<f32, 2>, y: &mut View<i32, 1>) {
    y.set(0, x.dim(2)); // no such axis
}

#[kernel]
fn panics(y: &mut View<i32, 1>) {
    let sizes = [1, 2, 3];
    let i = sizes.len();
    y.set(0, sizes[i % 4].to_scalar()); // out of bounds
}

#[kernel]
fn leaks(y: &mut View<i32, 1>, n: Scalar<i32>) {
    let mut kept = Vec::new();
    for i in 0..n {
        kept.push(i + 1);
    }
    y.set(0, kept[0]); // after the loop
}

#[kernel]
fn too_large(x: &View<u8, 1>, y: &mut View<u8, 1>) {
    y.store(0, x.load::<4>(0) + 300); // does not fit
}

#[kernel]
fn prints(y: &mut View<i32, 1>) {
    kprint!("{} and {}", y.get(0)); // one value for two holes
}

#[kernel]
fn branches_in_closure(x: &View<f32, 1>, y: &mut View<f32, 1>) {
    y.set(0, x.load::<4>(0).reduce_with(|a, b| if a > b { a } else { b })); // branch
}

#[test]
fn a_mistake_found_while_tracing_names_the_authors_line() {
    let d = only(&missing_axis::kernel());
    assert_eq!(d.message, "a view of rank 2 has no axis 2");
    assert!(line_of(&d).ends_with("// no such axis"));
    let d = only(&panics::kernel());
    assert_eq!(
        d.message,
        "the kernel's function panicked: index out of bounds: the len is 3 but the index is 3"
    );
    assert!(line_of(&d).ends_with("// out of bounds"));
    let d = only(&leaks::kernel());
    assert_eq!(d.message, "`reshape` uses a value that is not defined here");
    assert!(line_of(&d).ends_with("// after the loop"));
    let d = only(&too_large::kernel());
    assert_eq!(d.message, "300 does not fit in u8");
    assert!(line_of(&d).ends_with("// does not fit"));
    let d = only(&branches_in_closure::kernel());
    assert_eq!(d.message, "`if` cannot be part of a reduction's closure");
    assert!(line_of(&d).ends_with("// branch"));
    let d = only(&prints::kernel());
    assert_eq!(d.message, "`kprint!` has 2 `{}` and 1 values");
    assert!(line_of(&d).ends_with("// one value for two holes"));
}

#[test]
fn a_kernel_called_as_a_function_says_how_to_start_it() {
    let caught = std::panic::catch_unwind(|| {
        let _ = program_id(0);
    });
    let text = *caught.unwrap_err().downcast::<String>().unwrap_or_default();
    let text = if text.is_empty() { "tiles exist only while" } else { &text };
    assert!(text.starts_with("tiles exist only while"), "{text}");
}

#[test]
fn rustc_explains_mistakes_in_the_authors_terms() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
