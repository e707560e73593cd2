// passes: canonicalize, dce
func.func @k(%y: !kt.view<bf16, 1> {kt.mutable}, %z: !kt.view<i32, 1> {kt.mutable}) attributes {kt.kernel} {
  %zero = arith.constant 0 : i32
  // One rounding to bf16 per operation: 1 + 2^-9 is 1.
  %one = arith.constant dense<1.0> : tensor<8xbf16>
  %small = arith.constant dense<0.001953125> : tensor<8xbf16>
  %sum = arith.addf %one, %small : tensor<8xbf16>
  "kt.store"(%y, %zero, %sum) : (!kt.view<bf16, 1>, i32, tensor<8xbf16>) -> ()
  // Division by zero gives 0, shift amounts wrap.
  %seven = arith.constant dense<7> : tensor<8xi32>
  %none = arith.constant dense<0> : tensor<8xi32>
  %div = "kt.div"(%seven, %none) : (tensor<8xi32>, tensor<8xi32>) -> tensor<8xi32>
  %wide = arith.constant dense<33> : tensor<8xi32>
  %shl = "kt.shl"(%seven, %wide) : (tensor<8xi32>, tensor<8xi32>) -> tensor<8xi32>
  %both = arith.addi %div, %shl : tensor<8xi32>
  "kt.store"(%z, %zero, %both) : (!kt.view<i32, 1>, i32, tensor<8xi32>) -> ()
  return
}
// ---- becomes
module {
  func.func @k(%arg0: !kt.view<bf16, 1 : i64> {kt.mutable}, %arg1: !kt.view<i32, 1 : i64> {kt.mutable}) attributes {kt.kernel} {
    %c0_i32 = arith.constant 0 : i32
    %cst = arith.constant dense<1.000000e+00> : tensor<8xbf16>
    "kt.store"(%arg0, %c0_i32, %cst) : (!kt.view<bf16, 1 : i64>, i32, tensor<8xbf16>) -> ()
    %cst_0 = arith.constant dense<14> : tensor<8xi32>
    "kt.store"(%arg1, %c0_i32, %cst_0) : (!kt.view<i32, 1 : i64>, i32, tensor<8xi32>) -> ()
    return
  }
}
