// passes: hoist
func.func @k(%x: !kt.view<f32, 1>, %y: !kt.view<f32, 1> {kt.mutable}, %n: i32) attributes {kt.kernel} {
  %zero = arith.constant 0 : i32
  %one = arith.constant 1 : i32
  scf.for %i = %zero to %n step %one : i32 {
    scf.for %j = %zero to %n step %one : i32 {
      // From a view that nothing writes: leaves both loops.
      %a = "kt.load"(%x, %zero) {padding = 0.0 : f32} : (!kt.view<f32, 1>, i32) -> tensor<8xf32>
      // Needs %i: leaves one.
      %b = "kt.load"(%x, %i) {padding = 0.0 : f32} : (!kt.view<f32, 1>, i32) -> tensor<8xf32>
      // From a view that is written: stays.
      %c = "kt.load"(%y, %zero) {padding = 0.0 : f32} : (!kt.view<f32, 1>, i32) -> tensor<8xf32>
      %d = arith.addf %a, %b : tensor<8xf32>
      %e = arith.addf %c, %d : tensor<8xf32>
      "kt.store"(%y, %j, %e) : (!kt.view<f32, 1>, i32, tensor<8xf32>) -> ()
    }
  }
  return
}
// ---- becomes
module {
  func.func @k(%arg0: !kt.view<f32, 1 : i64>, %arg1: !kt.view<f32, 1 : i64> {kt.mutable}, %arg2: i32) attributes {kt.kernel} {
    %c0_i32 = arith.constant 0 : i32
    %c1_i32 = arith.constant 1 : i32
    %0 = "kt.load"(%arg0, %c0_i32) {padding = 0.000000e+00 : f32} : (!kt.view<f32, 1 : i64>, i32) -> tensor<8xf32>
    scf.for %arg3 = %c0_i32 to %arg2 step %c1_i32  : i32 {
      %1 = "kt.load"(%arg0, %arg3) {padding = 0.000000e+00 : f32} : (!kt.view<f32, 1 : i64>, i32) -> tensor<8xf32>
      %2 = arith.addf %0, %1 : tensor<8xf32>
      scf.for %arg4 = %c0_i32 to %arg2 step %c1_i32  : i32 {
        %3 = "kt.load"(%arg1, %c0_i32) {padding = 0.000000e+00 : f32} : (!kt.view<f32, 1 : i64>, i32) -> tensor<8xf32>
        %4 = arith.addf %3, %2 : tensor<8xf32>
        "kt.store"(%arg1, %arg4, %4) : (!kt.view<f32, 1 : i64>, i32, tensor<8xf32>) -> ()
      }
    }
    return
  }
}
