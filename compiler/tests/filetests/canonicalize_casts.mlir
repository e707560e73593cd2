// passes: canonicalize, dce
func.func @k(%x: !kt.view<f16, 1>, %y: !kt.view<f16, 1> {kt.mutable}, %z: !kt.view<f16, 1> {kt.mutable}) attributes {kt.kernel} {
  %zero = arith.constant 0 : i32
  %a = "kt.load"(%x, %zero) {padding = 0.0 : f16} : (!kt.view<f16, 1>, i32) -> tensor<8xf16>
  // Widening loses nothing: back is the same value.
  %w = arith.extf %a : tensor<8xf16> to tensor<8xf32>
  %b = arith.truncf %w : tensor<8xf32> to tensor<8xf16>
  "kt.store"(%y, %zero, %b) : (!kt.view<f16, 1>, i32, tensor<8xf16>) -> ()
  // Narrowing to bf16 does.
  %n = "kt.cast"(%a) : (tensor<8xf16>) -> tensor<8xbf16>
  %c = "kt.cast"(%n) : (tensor<8xbf16>) -> tensor<8xf16>
  "kt.store"(%z, %zero, %c) : (!kt.view<f16, 1>, i32, tensor<8xf16>) -> ()
  return
}
// ---- becomes
module {
  func.func @k(%arg0: !kt.view<f16, 1 : i64>, %arg1: !kt.view<f16, 1 : i64> {kt.mutable}, %arg2: !kt.view<f16, 1 : i64> {kt.mutable}) attributes {kt.kernel} {
    %c0_i32 = arith.constant 0 : i32
    %0 = "kt.load"(%arg0, %c0_i32) {padding = 0.000000e+00 : f16} : (!kt.view<f16, 1 : i64>, i32) -> tensor<8xf16>
    "kt.store"(%arg1, %c0_i32, %0) : (!kt.view<f16, 1 : i64>, i32, tensor<8xf16>) -> ()
    %1 = "kt.cast"(%0) : (tensor<8xf16>) -> tensor<8xbf16>
    %2 = "kt.cast"(%1) : (tensor<8xbf16>) -> tensor<8xf16>
    "kt.store"(%arg2, %c0_i32, %2) : (!kt.view<f16, 1 : i64>, i32, tensor<8xf16>) -> ()
    return
  }
}
