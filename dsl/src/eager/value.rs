//! A tile's value: its type and its elements in row-major order.

use super::round::{self, Lane};
use crate::ir::{Const, Elem, TileType};

/// The elements of a tile, by family; each is a value of the tile's element type.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Floats of any width, each the `f32` of equal value.
    Float(Vec<f32>),
    /// Integers of any width, by their value.
    Int(Vec<i64>),
    /// Truth values.
    Bool(Vec<bool>),
}

impl Data {
    /// No elements yet, of the family of `elem`.
    pub fn with_capacity(elem: Elem, n: usize) -> Data {
        match elem {
            Elem::Bool => Data::Bool(Vec::with_capacity(n)),
            e if e.is_float() => Data::Float(Vec::with_capacity(n)),
            _ => Data::Int(Vec::with_capacity(n)),
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Data::Float(v) => v.len(),
            Data::Int(v) => v.len(),
            Data::Bool(v) => v.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One element, if it is there.
    pub fn get(&self, i: usize) -> Option<Lane> {
        match self {
            Data::Float(v) => v.get(i).map(|&x| Lane::Float(x)),
            Data::Int(v) => v.get(i).map(|&x| Lane::Int(x)),
            Data::Bool(v) => v.get(i).map(|&x| Lane::Bool(x)),
        }
    }

    /// Appends an element; one of another family is converted by its truth or value.
    pub fn push(&mut self, lane: Lane) {
        match (self, lane) {
            (Data::Float(v), Lane::Float(x)) => v.push(x),
            (Data::Int(v), Lane::Int(x)) => v.push(x),
            (Data::Bool(v), Lane::Bool(x)) => v.push(x),
            (Data::Float(v), Lane::Int(x)) => v.push(x as f32),
            (Data::Float(v), Lane::Bool(x)) => v.push(x.into()),
            (Data::Int(v), Lane::Float(x)) => v.push(x as i64),
            (Data::Int(v), Lane::Bool(x)) => v.push(x.into()),
            (Data::Bool(v), Lane::Float(x)) => v.push(x != 0.0),
            (Data::Bool(v), Lane::Int(x)) => v.push(x != 0),
        }
    }

    /// The elements at these places, in this order; places outside are left out.
    pub fn take(&self, places: impl Iterator<Item = usize>) -> Data {
        match self {
            Data::Float(v) => Data::Float(places.filter_map(|i| v.get(i).copied()).collect()),
            Data::Int(v) => Data::Int(places.filter_map(|i| v.get(i).copied()).collect()),
            Data::Bool(v) => Data::Bool(places.filter_map(|i| v.get(i).copied()).collect()),
        }
    }

    fn is_of(&self, elem: Elem) -> bool {
        match self {
            Data::Float(_) => elem.is_float(),
            Data::Int(_) => elem.is_int(),
            Data::Bool(_) => elem == Elem::Bool,
        }
    }
}

/// A tile: its type, and as many elements as the type says.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    ty: TileType,
    data: Data,
}

impl Value {
    /// A tile of these elements, which must already be values of the element type. Errors: another number of
    /// elements than the type has, or elements of another family.
    pub fn new(ty: TileType, data: Data) -> Result<Value, String> {
        if ty.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) != Some(data.len()) {
            return Err(format!("{} elements for a tile of type {ty}", data.len()));
        }
        if !data.is_of(ty.elem) {
            return Err(format!("elements of another kind for a tile of type {ty}"));
        }
        Ok(Value { ty, data })
    }

    /// A float tile; each element is rounded to the type.
    pub fn floats(elem: Elem, shape: &[usize], v: &[f32]) -> Result<Value, String> {
        let data = v.iter().map(|&x| round::round(elem, x)).collect();
        Value::new(TileType::new(elem, shape), Data::Float(data))
    }

    /// An integer tile; each element is wrapped to the type.
    pub fn ints(elem: Elem, shape: &[usize], v: &[i64]) -> Result<Value, String> {
        let data = v.iter().map(|&x| round::wrap(elem, x)).collect();
        Value::new(TileType::new(elem, shape), Data::Int(data))
    }

    /// A mask.
    pub fn bools(shape: &[usize], v: &[bool]) -> Result<Value, String> {
        Value::new(TileType::new(Elem::Bool, shape), Data::Bool(v.to_vec()))
    }

    /// A rank-0 tile.
    pub fn scalar(elem: Elem, lane: Lane) -> Value {
        Value::repeat(TileType::scalar(elem), lane)
    }

    /// A tile whose elements are all the same; a lane of another family is converted by its value.
    pub fn repeat(ty: TileType, lane: Lane) -> Value {
        let n = ty.len();
        let data = match (Data::with_capacity(ty.elem, 0), lane) {
            (Data::Float(_), Lane::Float(x)) => Data::Float(vec![x; n]),
            (Data::Int(_), Lane::Int(x)) => Data::Int(vec![x; n]),
            (Data::Bool(_), Lane::Bool(x)) => Data::Bool(vec![x; n]),
            (mut data, lane) => {
                (0..n).for_each(|_| data.push(lane));
                data
            }
        };
        Value { ty, data }
    }

    /// A tile read from memory: row-major, little-endian, `bool` as one byte. Errors: too few bytes.
    pub fn from_bytes(ty: &TileType, bytes: &[u8]) -> Result<Value, String> {
        let (n, size) = (ty.len(), ty.elem.bytes());
        let mut data = Data::with_capacity(ty.elem, n.min(bytes.len()));
        for i in 0..n {
            let at = bytes.get(i * size..).unwrap_or(&[]);
            let lane = round::read(ty.elem, at);
            data.push(lane.ok_or_else(|| format!("{} bytes for a tile of type {ty}", bytes.len()))?);
        }
        Value::new(ty.clone(), data)
    }

    /// The tile as it lies in memory: row-major, little-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let size = self.ty.elem.bytes();
        let mut bytes = vec![0; self.len() * size];
        for (i, to) in bytes.chunks_exact_mut(size).enumerate() {
            if let Some(lane) = self.data.get(i) {
                round::write(self.ty.elem, lane, to);
            }
        }
        bytes
    }

    /// The type.
    pub fn ty(&self) -> &TileType {
        &self.ty
    }

    /// The element type.
    pub fn elem(&self) -> Elem {
        self.ty.elem
    }

    /// Extent of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.ty.shape
    }

    /// The elements, row-major.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The elements of a float tile.
    pub fn as_floats(&self) -> Result<&[f32], String> {
        match &self.data {
            Data::Float(v) => Ok(v),
            _ => Err(format!("{} where floats are needed", self.ty)),
        }
    }

    /// The elements of an integer tile.
    pub fn as_ints(&self) -> Result<&[i64], String> {
        match &self.data {
            Data::Int(v) => Ok(v),
            _ => Err(format!("{} where integers are needed", self.ty)),
        }
    }

    /// The elements of a mask.
    pub fn as_bools(&self) -> Result<&[bool], String> {
        match &self.data {
            Data::Bool(v) => Ok(v),
            _ => Err(format!("{} where a mask is needed", self.ty)),
        }
    }

    /// The only element of an integer scalar.
    pub fn as_int(&self) -> Result<i64, String> {
        match self.as_ints()? {
            [x] => Ok(*x),
            _ => Err(format!("{} where a scalar is needed", self.ty)),
        }
    }

    /// The only element of a `bool` scalar.
    pub fn as_bool(&self) -> Result<bool, String> {
        match self.as_bools()? {
            [x] => Ok(*x),
            _ => Err(format!("{} where a scalar is needed", self.ty)),
        }
    }
}

/// A constant as an element of a type: floats are rounded, integers wrapped. Errors: a constant of another family.
pub fn constant(elem: Elem, c: Const) -> Result<Lane, String> {
    match (c, elem) {
        (Const::Float(bits), e) if e.is_float() => Ok(Lane::Float(round::round(e, f32::from_bits(bits)))),
        (Const::Int(x), e) if e.is_int() => Ok(Lane::Int(round::wrap(e, x))),
        (Const::Bool(x), Elem::Bool) => Ok(Lane::Bool(x)),
        _ => Err(format!("the constant {c:?} is not of type {elem}")),
    }
}
