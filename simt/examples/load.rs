//! Loads a module and lists its kernels and synchronisations: `cargo run -p kcc-simt --example load -- module.mlir`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for path in std::env::args().skip(1) {
        let program = match kcc_simt::Program::load(&std::fs::read_to_string(&path)?) {
            Ok(program) => program,
            Err(error) => {
                println!("{path}: {error}");
                continue;
            }
        };
        for kernel in program.kernels() {
            println!("{path}: {} with {} parameters", kernel.name, kernel.params.len());
        }
        for site in program.sync_sites() {
            let loc = site.loc.map_or_else(String::new, |loc| loc.to_string());
            println!("  {:4} {} {loc}", site.index, site.kind);
        }
    }
    Ok(())
}
