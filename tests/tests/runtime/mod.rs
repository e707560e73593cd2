//! The runtime with a real compiler: launches, caches, and the child process. The `kcc` program must be built: it is
//! found beside the test binary's folder, or by `KCC`.

mod launch;
