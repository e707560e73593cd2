//! The laws of composition, inverse and division.

use super::{any_layout, covering, table, two_covering};
use kcc_compiler::layout::matrix::Matrix;
use kcc_compiler::layout::{Dim, Linear, Map, Position};
use proptest::prelude::*;
use std::collections::HashMap;

fn matrix(rows: u32, columns: usize) -> impl Strategy<Value = Matrix> {
    prop::collection::vec(0u64..1 << rows, columns).prop_map(move |columns| Matrix { columns, rows })
}

proptest! {
    #[test]
    fn a_layout_is_linear(layout in (0usize..4).prop_flat_map(any_layout), a: u32, b: u32) {
        let places: Vec<_> = layout.positions().collect();
        let (a, b) = (places[a as usize % places.len()], places[b as usize % places.len()]);
        let (x, y, z) = (layout.apply(a), layout.apply(b), layout.apply(a ^ b));
        prop_assert_eq!([x[0] ^ y[0], x[1] ^ y[1], x[2] ^ y[2]], z);
    }

    #[test]
    fn composition_is_associative(a in matrix(5, 6), b in matrix(6, 7), c in matrix(7, 4)) {
        prop_assert_eq!(a.after(&b).after(&c), a.after(&b.after(&c)));
        for input in 0..1 << 4 {
            prop_assert_eq!(a.after(&b).after(&c).apply(input), a.apply(b.apply(c.apply(input))));
        }
    }

    #[test]
    fn a_pseudo_inverse_undoes_what_is_an_image(m in matrix(6, 8)) {
        let inverse = m.pseudo_inverse();
        for input in 0..1 << 8 {
            let image = m.apply(input);
            prop_assert_eq!(m.apply(inverse.apply(image)), image);
        }
    }

    #[test]
    fn kernel_and_rank_add_up_to_the_inputs(m in matrix(5, 7)) {
        let kernel = m.kernel();
        prop_assert_eq!(kernel.len() as u32 + m.rank(), 7);
        prop_assert!(kernel.iter().all(|&input| m.apply(input) == 0));
    }

    #[test]
    fn the_inverse_finds_every_element(layout in covering([3, 4], 5, 2)) {
        let inverse = layout.inverse();
        for (_, element) in table(&layout) {
            prop_assert_eq!(inverse.at(element).map(|place| layout.apply(place)), Some(element));
        }
    }

    #[test]
    fn places_in_another_layout_hold_the_same_elements((a, b) in two_covering(5, 2)) {
        let map = a.places_in(&b).unwrap();
        for (place, element) in table(&a) {
            prop_assert_eq!(b.apply(map.apply(place)), element);
        }
        prop_assert_eq!(b.after(&map), a);
    }

    #[test]
    fn maps_compose(a in covering([2, 3], 4, 1), b in covering([2, 3], 4, 1), c in covering([2, 3], 4, 1)) {
        let (ab, bc) = (a.places_in(&b).unwrap(), b.places_in(&c).unwrap());
        for place in a.positions() {
            prop_assert_eq!(bc.after(&ab).apply(place), bc.apply(ab.apply(place)));
        }
        prop_assert_eq!(ab.after(&Map::identity(&a)), ab);
    }

    #[test]
    fn a_product_divides(tile in any_layout(2), outer in any_layout(2)) {
        let product = tile.product(&outer).unwrap();
        prop_assert_eq!(product.divide_left(&tile), Some(outer.clone()));
        prop_assert_eq!(product.divide_right(&outer), Some(tile.clone()));
        for (place, element) in table(&product) {
            let (inner, rest) = Dim::ALL.iter().fold(<(Position, Position)>::default(), |(inner, rest), &dim| {
                let (value, bits): (u32, u32) = (place.get(dim), tile.bits(dim));
                (inner.with(dim, value & ((1 << bits) - 1)), rest.with(dim, value >> bits))
            });
            let (a, b) = (tile.apply(inner), outer.apply(rest));
            prop_assert_eq!(element, [a[0] + b[0] * tile.extents()[0], a[1] + b[1] * tile.extents()[1], 0]);
        }
    }

    #[test]
    fn products_are_associative(a in any_layout(2), b in any_layout(2), c in any_layout(2)) {
        prop_assert_eq!(
            a.product(&b).unwrap().product(&c).unwrap(),
            a.product(&b.product(&c).unwrap()).unwrap()
        );
    }

    #[test]
    fn a_quotient_multiplies_back(layout in any_layout(2), tile in any_layout(2)) {
        if let Some(outer) = layout.divide_left(&tile) {
            prop_assert_eq!(tile.product(&outer).unwrap(), layout.clone());
        }
        if let Some(inner) = layout.divide_right(&tile) {
            prop_assert_eq!(inner.product(&tile).unwrap(), layout.clone());
        }
    }

    #[test]
    fn without_redundant_bits_each_element_occurs_once(layout in any_layout(2)) {
        let mut count: HashMap<_, u32> = HashMap::new();
        for (place, element) in table(&layout) {
            let owner = Dim::ALL.iter().all(|&dim| place.get(dim) & layout.redundant(dim) == 0);
            *count.entry(element).or_default() += u32::from(owner);
        }
        prop_assert!(count.values().all(|&n| n == 1), "{}", layout);
    }
}

#[test]
fn a_layout_that_lacks_elements_has_no_map_from_one_that_has_them() {
    let all: Linear = "reg=[1;2] shape=4".parse().unwrap();
    let some: Linear = "reg=[1] lane=[0] shape=4".parse().unwrap();
    assert!(all.places_in(&some).is_err());
    assert!(some.places_in(&all).is_ok());
    assert!(some.places_in(&"shape=8".parse().unwrap()).is_err());
}
