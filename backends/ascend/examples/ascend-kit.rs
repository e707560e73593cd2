//! Makes the folder for someone with a device: `make ascend-kit`, or `cargo run -p kcc-ascend --example ascend-kit -- FOLDER`.

#[allow(dead_code)]
#[path = "../tests/main/args.rs"]
mod args;
#[path = "../tests/main/harness.rs"]
#[allow(dead_code)]
mod harness;
#[path = "../tests/main/kit/mod.rs"]
mod kit;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let folders: Vec<String> = std::env::args().skip(1).collect();
    let [folder] = &folders[..] else {
        eprintln!("usage: ascend-kit FOLDER");
        return ExitCode::from(2);
    };
    let cases = kit::cases::all();
    match kit::folder::write(Path::new(folder), &cases) {
        Ok(()) => {
            println!("{}: {} cases", folder, cases.len());
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}
