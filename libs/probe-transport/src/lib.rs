//! Moves the bytes of HTTP checks for the website-availability monitor, and judges nothing.

mod alarm;
#[doc(hidden)]
pub mod answer;
#[doc(hidden)]
pub mod certificate;
mod client;
mod connect;
mod crypto;
mod failure;
mod head;
#[doc(hidden)]
pub mod hop;
#[doc(hidden)]
pub mod http1;
mod http2;
mod lock;
#[doc(hidden)]
pub mod message;
mod refusal;
mod resolver;
mod tls;
mod transport;
mod trust;
mod verified;

/// The module that Python imports.
#[pyo3::pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::answer::Answer;
    #[pymodule_export]
    use crate::client::ClientCertificate;
    #[pymodule_export]
    use crate::transport::Transport;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
