//! Turns sentences into packed token ids: one sequence after the other, without padding.

use anyhow::{Context, Result, anyhow};
use std::path::Path;
use tokenizers::{Tokenizer, TruncationParams};

/// Longest sentence in tokens, `[CLS]` and `[SEP]` included; longer ones are cut, as the model card says.
pub const MAX_TOKENS: usize = 256;

/// The token ids of a batch: sentence `b` is `ids[starts[b]..starts[b + 1]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Id of each token.
    pub ids: Vec<i32>,
    /// Place of each token within its sentence.
    pub positions: Vec<i32>,
    /// First token of each sentence, and the end of the last: one more entry than sentences.
    pub starts: Vec<i32>,
}

impl Tokens {
    /// Number of sentences.
    pub fn sentences(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Tokens of the longest sentence.
    pub fn longest(&self) -> usize {
        self.starts.windows(2).map(|w| (w[1] - w[0]) as usize).max().unwrap_or(0)
    }
}

/// The model's WordPiece tokenizer.
pub struct Text(Tokenizer);

impl Text {
    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    /// The file is missing, or no tokenizer.
    pub fn open(file: &Path) -> Result<Text> {
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut tokenizer =
            Tokenizer::from_bytes(&bytes).map_err(|e| anyhow!("{} is no tokenizer: {e}", file.display()))?;
        // The file asks for padding and a cut at 128 tokens; the model takes 256 and needs no padding here.
        tokenizer.with_padding(None);
        let cut = TruncationParams { max_length: MAX_TOKENS, ..Default::default() };
        tokenizer.with_truncation(Some(cut)).map_err(|e| anyhow!("{}: {e}", file.display()))?;
        Ok(Text(tokenizer))
    }

    /// Token ids of each sentence, packed.
    ///
    /// # Errors
    /// The tokenizer refuses a sentence.
    pub fn tokens<S: AsRef<str>>(&self, sentences: &[S]) -> Result<Tokens> {
        let mut out = Tokens { starts: vec![0], ..Tokens::default() };
        for sentence in sentences {
            let encoded = self.0.encode(sentence.as_ref(), true).map_err(|e| anyhow!("tokenizer: {e}"))?;
            for (position, &id) in encoded.get_ids().iter().enumerate() {
                out.ids.push(i32::try_from(id)?);
                out.positions.push(position as i32);
            }
            out.starts.push(i32::try_from(out.ids.len())?);
        }
        Ok(out)
    }
}
