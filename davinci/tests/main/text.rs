//! Printing and reading are inverses; what is not understood is an error with its line.

use crate::build::{add_twice, view};
use kcc_davinci::ir::*;
use kcc_dsl::ir::{Elem, LocId};

#[test]
fn a_program_reads_back() {
    let p = add_twice(256);
    let text = p.to_text();
    assert_eq!(Program::from_text(&text).expect("our own text"), p, "{text}");
    assert!(text.contains("set event=%1 from=v to=mte2 # 90"), "{text}");
    assert!(text.contains("for %0 = 0 to 4 step 1 {"), "{text}");
}

#[test]
fn control_flow_reads_back() {
    let mut p = add_twice(64);
    let c = Reg(7);
    let head = vec![Stmt::Let { to: c, value: Scalar::BlockIdx, loc: LocId(3) }];
    let inner = Stmt::If {
        condition: c.into(),
        then: vec![],
        otherwise: vec![crate::build::barrier(Pipes::One(Pipe::V))],
    };
    p.vector = Some(vec![Stmt::While { head, condition: c, body: vec![inner] }]);
    p.params.push(view("z w = {", Elem::F16, 3, false));
    assert_eq!(Program::from_text(&p.to_text()).expect("our own text"), p, "{}", p.to_text());
}

#[test]
fn what_is_not_understood_names_its_line() {
    let good = add_twice(64).to_text();
    for (from, to, line) in [
        ("davinci {", "davinci [", 1),
        ("elem=F32 layout=nd", "elem=F99 layout=nd", 2),
        ("for %0 = 0 to", "for %0 in 0 to", good.lines().position(|l| l.contains("for %0")).unwrap_or(0) + 1),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from} is not in the text");
        let e = Program::from_text(&text).expect_err("broken").to_string();
        assert!(e.starts_with(&format!("line {line}:")), "{e}");
    }
    assert!(Program::from_text("").is_err());
}

#[test]
fn broken_texts_never_panic() {
    let good = add_twice(128).to_text();
    let mut random = 12345u64;
    for _ in 0..3000 {
        let mut bytes = good.clone().into_bytes();
        for _ in 0..3 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let i = (random >> 33) as usize % bytes.len();
            bytes[i] = b" {}%=0189abx\n"[(random >> 20) as usize % 13];
        }
        let Ok(p) = Program::from_text(&String::from_utf8_lossy(&bytes)) else { continue };
        if kcc_davinci::verify(&p).is_ok() {
            let mut out = vec![0; 512];
            let input = vec![0; 512];
            let shape = (vec![128], vec![1]);
            let args = vec![
                kcc_davinci::Arg::View {
                    bytes: &input,
                    origin: 0,
                    dims: shape.0.clone(),
                    strides: shape.1.clone(),
                },
                kcc_davinci::Arg::ViewMut { bytes: &mut out, origin: 0, dims: shape.0, strides: shape.1 },
            ];
            let options = kcc_davinci::Options { steps: 10_000, ..Default::default() };
            let _ = kcc_davinci::run(&p, kcc_davinci::Launch { grid: [1; 3], blocks: 1, args, options });
        }
    }
}
