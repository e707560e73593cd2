//! `kcc check`: traces, type-checks and verifies every kernel, without generating code.

use super::input::{Input, label};
use super::{Failure, say, serve};
use kcc_compiler::session::Session;
use kcc_dsl::exchange::Diagnostic;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    input: Input,
    /// Also ask this target whether it can do what the kernels do
    #[arg(long, short)]
    target: Vec<String>,
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let mut targets = Vec::new();
    for name in &args.target {
        targets.push(serve::target(name)?);
    }
    let kernels = args.input.read(json)?;
    let session = Session::new();
    let (mut names, mut wrong): (Vec<String>, Vec<Diagnostic>) = Default::default();
    for traced in &kernels.list {
        names.push(label(&traced.name, &traced.generics));
        match &traced.kernel {
            Err(list) => wrong.extend(list.iter().cloned()),
            Ok(kernel) => {
                let asked = targets.iter().map(|t| session.check(kernel, Some(&**t)));
                let plain = targets.is_empty().then(|| session.check(kernel, None));
                wrong.extend(plain.into_iter().chain(asked).filter_map(Result::err).flatten());
            }
        }
    }
    wrong.dedup();
    if !wrong.is_empty() {
        return Err(Failure::from(wrong).rooted(&kernels.roots));
    }
    if json {
        say(serde_json::json!({ "ok": true, "kernels": names }));
    } else {
        names.iter().for_each(|n| say(format!("ok  {n}")));
    }
    Ok(())
}
