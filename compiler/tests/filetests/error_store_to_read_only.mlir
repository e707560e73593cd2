// passes:
func.func @k(%x: !kt.view<f32, 1> {kt.name = "x"}) attributes {kt.kernel} {
  %zero = arith.constant 0 : i32
  %a = arith.constant dense<0.0> : tensor<8xf32>
  "kt.store"(%x, %zero, %a) : (!kt.view<f32, 1>, i32, tensor<8xf32>) -> ()
  return
}
// ---- becomes
error: error_store_to_read_only.mlir:5:3: `store` into `x`, which the kernel takes read-only
help: take it as `&mut View<..>` (`kt.mutable`)
