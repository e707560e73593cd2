// passes:
func.func @k(%x: f32) attributes {kt.kernel} {
  %0 = arith.addf %x, %y : f32
  return
}
// ---- becomes
error: error_syntax.mlir:3:23: use of undeclared SSA value name
