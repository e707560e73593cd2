//! What a conversion does, on arrays: the meaning that a lowering must keep, and the tests' oracle.

use super::{Conversion, Exchange, Staging};
use crate::layout::linear::Dim;

/// The registers of a block: `[warp][lane][register]`.
pub type Registers<T> = Vec<Vec<Vec<T>>>;

/// Carries a conversion out. `None` where it reads what is not there: a planned conversion never does, on registers
/// of its source layout's counts.
pub fn apply_conversion<T: Clone>(conversion: &Conversion, source: &Registers<T>) -> Option<Registers<T>> {
    match conversion {
        Conversion::Nothing => Some(source.clone()),
        Conversion::Registers { source_of } => select(source, source_of),
        Conversion::Shuffles { exchange, copy_of } => select(&exchanged(exchange, source)?, copy_of),
        Conversion::Shared { staging, copy_of } => select(&staged(staging, source)?, copy_of),
    }
}

fn select<T: Clone>(from: &Registers<T>, source_of: &[u32]) -> Option<Registers<T>> {
    let pick = |registers: &Vec<T>| source_of.iter().map(|&r| registers.get(r as usize).cloned()).collect();
    from.iter().map(|warp| warp.iter().map(pick).collect()).collect()
}

fn filled<T>(registers: Vec<Option<T>>) -> Option<Vec<T>> {
    registers.into_iter().collect()
}

fn exchanged<T: Clone>(exchange: &Exchange, source: &Registers<T>) -> Option<Registers<T>> {
    let count = exchange.rounds.len() * exchange.place_within.len();
    let lane_of = |warp: u32, lane: u32| -> Option<Vec<T>> {
        let mut registers = vec![None; count];
        for round in &exchange.rounds {
            let sender = round.lane ^ exchange.lane.of(lane, warp);
            for (send, place) in exchange.send_within.iter().zip(&exchange.place_within) {
                let from = round.send ^ exchange.send.of(sender, warp) ^ send;
                let to = round.place ^ exchange.place.of(lane, warp) ^ place;
                let value = source.get(warp as usize)?.get(sender as usize)?.get(from as usize)?;
                *registers.get_mut(to as usize)? = Some(value.clone());
            }
        }
        filled(registers)
    };
    (0..)
        .zip(source)
        .map(|(warp, lanes)| (0..lanes.len() as u32).map(|lane| lane_of(warp, lane)).collect())
        .collect()
}

fn staged<T: Clone>(staging: &Staging, source: &Registers<T>) -> Option<Registers<T>> {
    let registers = staging.load.offsets.size(Dim::Register) as usize;
    let mut result: Vec<Vec<Vec<Option<T>>>> =
        source.iter().map(|lanes| vec![vec![None; registers]; lanes.len()]).collect();
    for repetition in &staging.repetitions {
        let mut buffer = vec![None; staging.elements as usize];
        for (warp, lanes) in (0..).zip(source) {
            for (lane, own) in (0..).zip(lanes) {
                if warp & staging.idle_warps != 0 || lane & staging.idle_lanes != 0 {
                    continue;
                }
                for &group in &repetition.stores {
                    let [first, ..] = staging.store.offsets.at(group, lane, warp);
                    for (place, within) in staging.store.within.iter().enumerate() {
                        let value = own.get((group ^ within) as usize)?.clone();
                        *buffer.get_mut(first as usize + place)? = Some(value);
                    }
                }
            }
        }
        for (warp, lanes) in (0..).zip(&mut result) {
            for (lane, own) in (0..).zip(lanes) {
                for &group in &repetition.loads {
                    let [first, ..] = staging.load.offsets.at(group, lane, warp);
                    for (place, within) in staging.load.within.iter().enumerate() {
                        let value = buffer.get(first as usize + place)?.clone()?;
                        *own.get_mut((group ^ within) as usize)? = Some(value);
                    }
                }
            }
        }
    }
    result.into_iter().map(|lanes| lanes.into_iter().map(filled).collect()).collect()
}
