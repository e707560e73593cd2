//! The folder for someone with a device (`make ascend-kit`): sources, inputs, expected results, a script. The tests run the same script
//! with an ordinary compiler.

pub mod cases;
pub mod folder;
