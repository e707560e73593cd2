//! Vectors taken apart and put together, and words of several narrow elements: what comes back to the same vector is that vector, so that
//! tiles may be lists of registers while instructions take and give vectors.
//!
//! ```text
//! %s = product …                    vector<4xf32>
//! a, b, c, d = lanes of %s          four extracts, none of which is used
//! vector(a, b, c, d)                %s
//! vector(c, d)                      a shuffle of %s
//! word(lanes 2, 3 of vector<8xi16>) lane 1 of the same bits as vector<4xi32>
//! ```

use super::{Emit, K, Ty, V};
use std::collections::HashMap;

/// What names a value.
type Key = (u32, u16);

fn key(v: V) -> Key {
    (v.id, v.part)
}

/// How values were made of vectors.
#[derive(Default)]
pub(super) struct Vectors {
    /// Of a lane taken out: the vector, and which lane.
    lanes: HashMap<Key, (V, usize)>,
    /// Of a vector put together: its lanes.
    built: HashMap<Key, Vec<V>>,
    /// Of a vector with other lanes: what has the same bits.
    same: HashMap<Key, V>,
}

impl Emit {
    /// One lane of a vector (lane known).
    pub fn extract(&mut self, v: V, lane: usize) -> V {
        if let Some(part) = self.vectors.built.get(&key(v)).and_then(|parts| parts.get(lane)) {
            return *part;
        }
        let ty = Ty::scalar(v.ty.k);
        let part = self.pure(ty, format!("vector.extract {v}[{lane}] : {} from {}", v.ty.k, v.ty), &[v]);
        self.vectors.lanes.insert(key(part), (v, lane));
        part
    }

    /// A vector of scalars.
    pub fn vector(&mut self, parts: &[V]) -> V {
        let ty = Ty::vector(parts[0].ty.k, parts.len());
        if let Some((v, first)) = self.neighbours(parts) {
            if v.ty == ty {
                return v;
            }
            let lanes: Vec<String> = (first..first + parts.len()).map(|lane| lane.to_string()).collect();
            let text = format!("vector.shuffle {v}, {v} [{}] : {}, {}", lanes.join(", "), v.ty, v.ty);
            return self.pure(ty, text, &[v]);
        }
        if let Some(words) = self.unpacked(parts) {
            let words = self.vector(&words);
            return self.same_bits(words, ty);
        }
        let names: Vec<String> = parts.iter().map(V::to_string).collect();
        let v = self.pure(ty, format!("vector.from_elements {} : {ty}", names.join(", ")), parts);
        self.vectors.built.insert(key(v), parts.to_vec());
        v
    }

    /// Packs elements that fill an `i32`, lowest first.
    pub(crate) fn word(&mut self, parts: &[V]) -> V {
        let n = parts.len();
        if let Some((v, first)) = self.neighbours(parts)
            && first.is_multiple_of(n)
            && usize::from(v.ty.lanes).is_multiple_of(n)
            && usize::from(v.ty.lanes) > n
        {
            let words = self.same_bits(v, Ty::vector(K::I32, usize::from(v.ty.lanes) / n));
            return self.extract(words, first / n);
        }
        let vector = self.vector(parts);
        self.same_bits(vector, Ty::scalar(K::I32))
    }

    /// A word as its elements, lowest first.
    pub(crate) fn unpacked_word(&mut self, word: V, k: K) -> V {
        self.same_bits(word, Ty::vector(k, 4 / k.bytes()))
    }

    /// The upper 16 bits of two values of 32 bits, those of the first one lowest.
    pub(crate) fn upper_halves(&mut self, low: V, high: V) -> V {
        let halves = Ty::vector(K::I16, 2);
        let [low, high] = [low, high].map(|v| self.same_bits(v, halves));
        let both = self.pure(
            halves,
            format!("vector.shuffle {low}, {high} [1, 3] : {halves}, {halves}"),
            &[low, high],
        );
        self.same_bits(both, Ty::scalar(K::I32))
    }

    fn same_bits(&mut self, v: V, ty: Ty) -> V {
        if v.ty == ty {
            return v;
        }
        if let Some(before) = self.vectors.same.get(&key(v)).filter(|before| before.ty == ty) {
            return *before;
        }
        let cast = self.pure(ty, format!("llvm.bitcast {v} : {} to {ty}", v.ty), &[v]);
        self.vectors.same.insert(key(cast), v);
        cast
    }

    /// The vector in which these are neighbouring lanes, and which lane is the first.
    fn neighbours(&self, parts: &[V]) -> Option<(V, usize)> {
        let of = |p: &V| self.vectors.lanes.get(&key(*p)).copied();
        let (v, first) = of(parts.first()?)?;
        parts.iter().zip(first..).all(|(p, lane)| of(p) == Some((v, lane))).then_some((v, first))
    }

    /// The words that these are all elements of, in order.
    fn unpacked(&self, parts: &[V]) -> Option<Vec<V>> {
        let n = 4usize.checked_div(parts[0].ty.k.bytes()).filter(|n| *n > 1 && parts.len() > *n)?;
        if !parts.len().is_multiple_of(n) {
            return None;
        }
        let word = |chunk: &[V]| {
            let (v, first) = self.neighbours(chunk)?;
            let word = *self.vectors.same.get(&key(v))?;
            (first == 0 && word.ty == Ty::scalar(K::I32)).then_some(word)
        };
        parts.chunks(n).map(word).collect()
    }
}
