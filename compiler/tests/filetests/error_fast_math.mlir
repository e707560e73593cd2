// passes:
func.func @k(%v: f32) attributes {kt.kernel} {
  %a = arith.addf %v, %v fastmath<fast> : f32
  return
}
// ---- becomes
error: error_fast_math.mlir:3:8: unknown attribute `fastmath` of `arith.addf`
help: remove it
