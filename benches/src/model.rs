//! A whole model: MiniLM on the 64 reference sentences, from token ids to unit vectors.

use crate::Bench;
use anyhow::{Context, Result};
use kcc_minilm::model::Model;
use kcc_minilm::text::Text;
use kcc_minilm::{Element, model_folder};
use kcc_runtime::Device;
use std::path::Path;

pub fn minilm<T: Element>(device: Device) -> Result<Bench> {
    let folder = model_folder()?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/minilm/reference/sentences.txt");
    let sentences =
        std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let sentences: Vec<&str> = sentences.split_terminator('\n').collect();
    let tokens = Text::open(&folder.join("tokenizer.json"))?.tokens(&sentences)?;
    let mut model = Model::<T>::open(device, &folder)?;
    Bench::new(sentences.len() as u64, move || model.embed(&tokens).map(drop))
}
