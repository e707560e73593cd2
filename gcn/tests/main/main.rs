//! Tests of the emulator.

mod assembly;
mod columns;
mod faults;
mod pairs;
