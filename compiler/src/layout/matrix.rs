//! Linear algebra over F2: vectors are the bits of a `u64`, addition is XOR.
//!
//! ```text
//! columns [0b01, 0b11]   maps bit 0 to 01, bit 1 to 11:   apply(0b10) = 11, apply(0b11) = 10
//! ```

/// A set of vectors, kept so that membership costs one pass: each kept vector has a leading bit of its own.
#[derive(Clone, Debug, Default)]
pub struct Span {
    /// (vector, which of the inserted vectors add up to it), by descending leading bit.
    rows: Vec<(u64, u64)>,
}

impl Span {
    /// The span of some vectors; vector `i` is known as bit `i` of a combination.
    pub fn of(vectors: impl IntoIterator<Item = u64>) -> Self {
        let mut span = Self::default();
        for (index, vector) in vectors.into_iter().enumerate() {
            span.insert(vector, 1 << index);
        }
        span
    }

    /// Reduces a vector by the span: what is left of it, and the combination that was taken away.
    pub fn reduce(&self, mut vector: u64) -> (u64, u64) {
        let mut combination = 0;
        for &(row, made_of) in &self.rows {
            if vector ^ row < vector {
                vector ^= row;
                combination ^= made_of;
            }
        }
        (vector, combination)
    }

    /// Adds a vector under a label; false when it was in the span already.
    pub fn insert(&mut self, vector: u64, label: u64) -> bool {
        let (rest, combination) = self.reduce(vector);
        if rest == 0 {
            return false;
        }
        let place = self.rows.partition_point(|&(row, _)| row > rest);
        self.rows.insert(place, (rest, combination ^ label));
        true
    }

    /// Labels of inserted vectors that add up to `vector`.
    pub fn solve(&self, vector: u64) -> Option<u64> {
        let (rest, combination) = self.reduce(vector);
        (rest == 0).then_some(combination)
    }

    /// Whether a vector is a sum of inserted ones.
    pub fn contains(&self, vector: u64) -> bool {
        self.reduce(vector).0 == 0
    }

    /// Number of independent vectors.
    pub fn dimension(&self) -> u32 {
        self.rows.len() as u32
    }

    /// An independent set with the same span.
    pub fn vectors(&self) -> impl Iterator<Item = u64> + '_ {
        self.rows.iter().map(|&(vector, _)| vector)
    }

    /// A basis of the vectors that lie in both spans.
    pub fn intersection(&self, other: &Span) -> Vec<u64> {
        // A vector of `other` that is in the sum of `self` and earlier ones of `other` closes a relation; the part of
        // the relation on the side of `other` lies in both.
        let mut sum = Span::default();
        for vector in self.vectors() {
            sum.insert(vector, 0);
        }
        let others: Vec<u64> = other.vectors().collect();
        let mut both = Vec::new();
        for (index, &vector) in others.iter().enumerate() {
            if let Some(combination) = sum.solve(vector) {
                let used = combination | 1 << index;
                both.push(bits(used).fold(0, |acc, bit| acc ^ others[bit as usize]));
            } else {
                sum.insert(vector, 1 << index);
            }
        }
        both
    }

    /// Unit-free completion: those of `candidates`, in order, that are independent of the span and of each other.
    /// They are added to the span.
    pub fn extend_by(&mut self, candidates: impl IntoIterator<Item = u64>) -> Vec<u64> {
        candidates.into_iter().filter(|&vector| self.insert(vector, 0)).collect()
    }
}

/// The numbers of the set bits, lowest first.
pub fn bits(mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        (word != 0).then(|| {
            let bit = word.trailing_zeros();
            word &= word - 1;
            bit
        })
    })
}

/// A linear map, given by the images of the input bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// `columns[i]` is the image of input bit `i`.
    pub columns: Vec<u64>,
    /// Number of output bits.
    pub rows: u32,
}

impl Matrix {
    /// The map that changes nothing, of `n` bits.
    pub fn identity(n: u32) -> Self {
        Self { columns: (0..n).map(|bit| 1 << bit).collect(), rows: n }
    }

    /// The image of an input.
    pub fn apply(&self, input: u64) -> u64 {
        bits(input).fold(0, |acc, bit| acc ^ self.columns.get(bit as usize).copied().unwrap_or(0))
    }

    /// This map after `first`.
    pub fn after(&self, first: &Matrix) -> Matrix {
        Matrix { columns: first.columns.iter().map(|&c| self.apply(c)).collect(), rows: self.rows }
    }

    /// Number of independent columns.
    pub fn rank(&self) -> u32 {
        Span::of(self.columns.iter().copied()).dimension()
    }

    /// A basis of the inputs that map to zero.
    pub fn kernel(&self) -> Vec<u64> {
        let mut span = Span::default();
        let mut kernel = Vec::new();
        for (index, &column) in self.columns.iter().enumerate() {
            match span.solve(column) {
                Some(combination) => kernel.push(combination | 1 << index),
                None => {
                    span.insert(column, 1 << index);
                }
            }
        }
        kernel
    }

    /// A right inverse on the image: `self.apply(inverse.apply(v)) == v` for every `v` that is an image; low input
    /// bits are preferred. Unit vectors outside of the image map to zero.
    pub fn pseudo_inverse(&self) -> Matrix {
        let mut span = Span::of(self.columns.iter().copied());
        // Complete by unit vectors labelled with nothing: the rest of the space maps to zero.
        for row in 0..self.rows {
            span.insert(1 << row, 0);
        }
        let columns = (0..self.rows).map(|row| span.solve(1 << row).unwrap_or(0)).collect();
        Matrix { columns, rows: self.columns.len() as u32 }
    }
}
