//! Moves the bytes of HTTP checks for the website-availability monitor, and judges nothing.

mod answer;
mod connect;
mod failure;
mod hop;
mod http1;
mod http2;
pub mod message;
mod resolver;
mod tls;
mod transport;
mod verified;

/// The module that Python imports.
#[pyo3::pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::answer::Answer;
    #[pymodule_export]
    use crate::transport::Transport;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
