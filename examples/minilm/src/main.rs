//! Embeds sentences and prints how alike they are, how long it took, and what was compiled for it.
//!
//!     kcc-minilm [--dtype f32|bf16] [--device cpu|cpu:THREADS|eager] [SENTENCE ...]

use anyhow::{Result, bail};
use half::bf16;
use kcc_kernels::activation::IDENTITY;
use kcc_kernels::matmul::{Epilogue, matmul};
use kcc_minilm::model::Model;
use kcc_minilm::text::{Text, Tokens};
use kcc_minilm::{Element, model_folder};
use kcc_runtime::{Device, Tensor};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const SENTENCES: [&str; 6] = [
    "A compiler turns a program into machine code.",
    "The translator converts source text to instructions for the processor.",
    "The cat sleeps on the warm windowsill.",
    "A kitten is napping in the sun by the window.",
    "Interest rates were raised by a quarter point.",
    "The central bank tightened its monetary policy.",
];

/// What the command line asks for.
struct Options {
    dtype: String,
    device: String,
    sentences: Vec<String>,
}

fn main() -> ExitCode {
    match options().and_then(|o| run(&o)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("kcc-minilm: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options> {
    let mut o = Options { dtype: "f32".into(), device: "cpu".into(), sentences: Vec::new() };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| anyhow::anyhow!("{arg} needs a value"));
        match arg.as_str() {
            "--dtype" => o.dtype = value()?,
            "--device" => o.device = value()?,
            "--help" | "-h" => {
                println!("kcc-minilm [--dtype f32|bf16] [--device cpu|cpu:THREADS|eager] [SENTENCE ...]");
                std::process::exit(0);
            }
            flag if flag.starts_with("--") => {
                bail!("unknown option {flag}; there are --dtype, --device and --help")
            }
            _ => o.sentences.push(arg),
        }
    }
    if o.sentences.is_empty() {
        o.sentences = SENTENCES.map(String::from).to_vec();
    }
    Ok(o)
}

fn run(options: &Options) -> Result<()> {
    let folder = model_folder()?;
    let text = Text::open(&folder.join("tokenizer.json"))?;
    let device = Device::open(&options.device)?;
    match options.dtype.as_str() {
        "f32" => show(Model::<f32>::open(device, &folder)?, &text, options),
        "bf16" => show(Model::<bf16>::open(device, &folder)?, &text, options),
        other => bail!("--dtype {other}: f32 and bf16 are possible"),
    }
}

fn show<T: Element>(mut model: Model<T>, text: &Text, options: &Options) -> Result<()> {
    let tokens = text.tokens(&options.sentences)?;
    let first = Instant::now();
    let embeddings = model.embed(&tokens)?;
    let first = first.elapsed();
    print_similarity(&options.sentences, &similarity(model.device(), &embeddings)?);
    if options.device != "eager" {
        let steady = steady(&mut model, &tokens)?;
        let each = |t: Duration| t.as_secs_f64() * 1e3 / tokens.sentences() as f64;
        println!(
            "\n{} sentences, {} tokens, {}, on {}: {:.2} ms per sentence ({:.1} ms for the first batch, compilation included)",
            tokens.sentences(),
            tokens.ids.len(),
            options.dtype,
            options.device,
            each(steady),
            first.as_secs_f64() * 1e3,
        );
    }
    println!("\ncompiled:\n{}", model.device().stats());
    Ok(())
}

/// Cosine of each pair of embeddings (all of length 1), row-major.
fn similarity<T: Element>(device: &Device, embeddings: &Tensor<T>) -> Result<Vec<f32>> {
    let n = embeddings.dim(0);
    let mut result = Tensor::<T>::zeros(&[n, n])?;
    let none = Epilogue { bias: None, residual: None };
    let view = embeddings.view();
    matmul::<T, IDENTITY>(device, &view, &view.clone().t(), none, &mut result.view_mut())?;
    Ok(result.as_slice().iter().map(|v| v.to_f32()).collect())
}

fn print_similarity(sentences: &[String], cosines: &[f32]) {
    let n = sentences.len();
    let numbers: String = (1..=n).map(|i| format!("{i:>7}")).collect();
    println!("similarity {numbers}");
    for (i, sentence) in sentences.iter().enumerate() {
        let row: String = cosines[i * n..(i + 1) * n].iter().map(|c| format!("{c:>7.3}")).collect();
        println!("{:>10} {row}  {sentence}", i + 1);
    }
}

/// Median time of a batch once everything is compiled.
fn steady<T: Element>(model: &mut Model<T>, tokens: &Tokens) -> Result<Duration> {
    let mut times = Vec::new();
    let begin = Instant::now();
    while times.len() < 5 || (begin.elapsed() < Duration::from_secs(1) && times.len() < 200) {
        let start = Instant::now();
        model.embed(tokens)?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times[times.len() / 2])
}
