// passes: canonicalize, dce
func.func @k(%x: !kt.view<f32, 2>, %y: !kt.view<f32, 2> {kt.mutable}, %s: f32) attributes {kt.kernel} {
  %zero = arith.constant 0 : i32
  %a = "kt.load"(%x, %zero, %zero) {padding = 0.0 : f32} : (!kt.view<f32, 2>, i32, i32) -> tensor<4x8xf32>
  %t = "kt.transpose"(%a) {perm = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %tt = "kt.transpose"(%t) {perm = array<i64: 1, 0>} : (tensor<8x4xf32>) -> tensor<4x8xf32>
  // Arithmetic on a repeated scalar is done once.
  %log2e = arith.constant dense<1.44269502> : tensor<4x8xf32>
  %r = "kt.broadcast"(%s) {axes = array<i64>} : (f32) -> tensor<4x8xf32>
  %c = arith.mulf %r, %log2e : tensor<4x8xf32>
  %d = arith.mulf %tt, %c : tensor<4x8xf32>
  "kt.store"(%y, %zero, %zero, %d) : (!kt.view<f32, 2>, i32, i32, tensor<4x8xf32>) -> ()
  return
}
// ---- becomes
module {
  func.func @k(%arg0: !kt.view<f32, 2 : i64>, %arg1: !kt.view<f32, 2 : i64> {kt.mutable}, %arg2: f32) attributes {kt.kernel} {
    %c0_i32 = arith.constant 0 : i32
    %0 = "kt.load"(%arg0, %c0_i32, %c0_i32) {padding = 0.000000e+00 : f32} : (!kt.view<f32, 2 : i64>, i32, i32) -> tensor<4x8xf32>
    %cst = arith.constant 1.44269502 : f32
    %1 = arith.mulf %arg2, %cst : f32
    %2 = "kt.broadcast"(%1) {axes = array<i64>} : (f32) -> tensor<4x8xf32>
    %3 = arith.mulf %0, %2 : tensor<4x8xf32>
    "kt.store"(%arg1, %c0_i32, %c0_i32, %3) : (!kt.view<f32, 2 : i64>, i32, i32, tensor<4x8xf32>) -> ()
    return
  }
}
