//! The simulator against hand-computed results, and programs with planted mistakes, which it must find.

mod build;
mod cube;
mod faults;
mod limits;
mod text;
mod vector;
