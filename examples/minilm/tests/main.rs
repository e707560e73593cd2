//! The model against an independent implementation (`reference/embed.py`), and its reading of files.

use half::bf16;
use kcc_minilm::model::Model;
use kcc_minilm::text::{Text, Tokens};
use kcc_minilm::{Element, cosine, model_folder, weights::HIDDEN};
use kcc_runtime::Device;
use safetensors::SafeTensors;
use std::path::Path;

/// The sentences, their numbers of tokens, and their embeddings by the reference.
struct Reference {
    sentences: Vec<String>,
    lengths: Vec<i32>,
    embeddings: Vec<f32>,
}

fn reference() -> Reference {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference");
    let text = std::fs::read_to_string(folder.join("sentences.txt")).unwrap();
    let bytes = std::fs::read(folder.join("expected.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let read = |name: &str| file.tensor(name).unwrap().data().to_vec();
    let reference = Reference {
        sentences: text.split_terminator('\n').map(String::from).collect(),
        lengths: bytemuck::pod_collect_to_vec(&read("tokens")),
        embeddings: bytemuck::pod_collect_to_vec(&read("embeddings")),
    };
    assert_eq!(reference.sentences.len(), 64);
    assert_eq!(reference.embeddings.len(), 64 * HIDDEN);
    reference
}

fn tokens(sentences: &[String]) -> Tokens {
    let text = Text::open(&model_folder().unwrap().join("tokenizer.json")).unwrap();
    text.tokens(sentences).unwrap()
}

fn embed<T: Element>(device: Device, sentences: &[String]) -> Vec<f32> {
    let mut model = Model::<T>::open(device, &model_folder().unwrap()).unwrap();
    let embeddings = model.embed(&tokens(sentences)).unwrap();
    embeddings.as_slice().iter().map(|v| v.to_f32()).collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |m, d| if d > m || d.is_nan() { d } else { m })
}

#[test]
fn sentences_are_cut_into_the_tokens_of_the_reference() {
    let reference = reference();
    let starts = tokens(&reference.sentences).starts;
    let lengths: Vec<i32> = starts.windows(2).map(|w| w[1] - w[0]).collect();
    assert_eq!(lengths, reference.lengths);
}

// The bound of 1e-4 for f32 is the product's promise: the components are about 0.05, so it is 2e-3 of their size;
// six layers of f32 arithmetic leave about 1e-6.
#[test]
fn f32_embeddings_agree_with_the_reference_within_1e_4() {
    let reference = reference();
    let ours = embed::<f32>(Device::cpu(), &reference.sentences);
    let difference = largest_difference(&ours, &reference.embeddings);
    assert!(difference <= 1e-4, "largest difference {difference}");
}

// bf16 has 8 bits: a relative error of up to 0.4% per rounding, a dozen roundings in a row in each layer, partly
// averaged out over 384 components. The product's promise is a cosine of 0.999.
#[test]
fn bf16_embeddings_point_where_the_reference_points() {
    let reference = reference();
    let ours = embed::<bf16>(Device::cpu(), &reference.sentences);
    let rows = ours.chunks(HIDDEN).zip(reference.embeddings.chunks(HIDDEN));
    for ((ours, expected), sentence) in rows.zip(&reference.sentences) {
        let cosine = cosine(ours, expected);
        assert!(cosine >= 0.999, "cosine {cosine} for {sentence:?}");
    }
}

#[test]
fn a_batch_gives_what_its_sentences_give_alone() {
    let sentences = ["One.", "Two are more than one.", ""].map(String::from);
    let together = embed::<f32>(Device::cpu(), &sentences);
    for (sentence, together) in sentences.iter().zip(together.chunks(HIDDEN)) {
        let alone = embed::<f32>(Device::cpu(), std::slice::from_ref(sentence));
        // The same sums, perhaps in another order where another tile shape was chosen.
        let difference = largest_difference(&alone, together);
        assert!(difference <= 1e-5, "{sentence:?}: {difference}");
    }
}

#[test]
fn no_sentences_give_no_embeddings() {
    assert!(embed::<f32>(Device::cpu(), &[]).is_empty());
}

#[test]
fn eager_mode_computes_the_model_too() {
    let reference = reference();
    let shortest = (0..64).min_by_key(|&i| reference.lengths[i]).unwrap();
    let ours = embed::<f32>(Device::eager(), &reference.sentences[shortest..=shortest]);
    let expected = &reference.embeddings[shortest * HIDDEN..(shortest + 1) * HIDDEN];
    let difference = largest_difference(&ours, expected);
    assert!(difference <= 1e-4, "largest difference {difference}");
}

#[test]
fn a_file_that_is_no_model_is_named() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let e = Model::<f32>::open(Device::eager(), &folder).err().unwrap();
    assert!(format!("{e:#}").contains("model.safetensors"), "{e:#}");
    let e = Text::open(&folder.join("main.rs")).err().unwrap();
    assert!(format!("{e:#}").contains("main.rs is no tokenizer"), "{e:#}");
}
