// passes: dce
func.func private @combine0(%a: f32, %b: f32) -> f32 {
  %0 = arith.addf %a, %b : f32
  return %0 : f32
}
func.func @k(%x: !kt.view<i32, 1>, %y: !kt.view<i32, 1> {kt.mutable}, %n: i32) attributes {kt.kernel} {
  %zero = arith.constant 0 : i32
  %one = arith.constant 1 : i32
  %a = "kt.load"(%x, %zero) {padding = 0 : i32} : (!kt.view<i32, 1>, i32) -> tensor<8xi32>
  %dead = "kt.load"(%x, %one) {padding = 0 : i32} : (!kt.view<i32, 1>, i32) -> tensor<8xi32>
  %m = "kt.arange"() : () -> tensor<8xi32>
  %mask = arith.cmpi slt, %m, %a : tensor<8xi32>
  // An atomic writes, even if nobody reads what it gives.
  %old = "kt.atomic"(%y, %m, %mask, %a) {op = "add", ordering = "relaxed", scope = "device"} : (!kt.view<i32, 1>, tensor<8xi32>, tensor<8xi1>, tensor<8xi32>) -> tensor<8xi32>
  %unused = scf.for %i = %zero to %n step %one iter_args(%acc = %zero) -> (i32) : i32 {
    %next = arith.addi %acc, %i : i32
    scf.yield %next : i32
  }
  return
}
// ---- becomes
module {
  func.func @k(%arg0: !kt.view<i32, 1 : i64>, %arg1: !kt.view<i32, 1 : i64> {kt.mutable}, %arg2: i32) attributes {kt.kernel} {
    %c0_i32 = arith.constant 0 : i32
    %0 = "kt.load"(%arg0, %c0_i32) {padding = 0 : i32} : (!kt.view<i32, 1 : i64>, i32) -> tensor<8xi32>
    %1 = "kt.arange"() : () -> tensor<8xi32>
    %2 = arith.cmpi slt, %1, %0 : tensor<8xi32>
    %3 = "kt.atomic"(%arg1, %1, %2, %0) {op = "add", ordering = "relaxed", scope = "device"} : (!kt.view<i32, 1 : i64>, tensor<8xi32>, tensor<8xi1>, tensor<8xi32>) -> tensor<8xi32>
    return
  }
}
