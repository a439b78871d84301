//! The functions of `cublas_api.h` that are exported and answer `CUBLAS_STATUS_NOT_SUPPORTED`.

use crate::log;
use crate::types::Status;

fn refuse(name: &str) -> i32 {
    log::start();
    tracing::warn!("{name} is not supported");
    Status::NotSupported as i32
}

macro_rules! refuse {
    ($($name:ident)*) => {
        $(
            /// Refused; its arguments are not looked at.
            pub extern "C" fn $name() -> i32 {
                refuse(stringify!($name))
            }
        )*
    };
}

crate::refused_functions!(refuse,);
