//! What went wrong with a map, link or program, as a `DatapathError`.

use std::{error::Error, io};

use aya::maps::MapError;
use rustix::io::Errno;

use crate::{datapath::DatapathError, tables::Hook};

/// A file operation in the pin directory failed.
pub(super) fn failed(action: &'static str) -> impl Fn(io::Error) -> DatapathError {
    move |source| DatapathError::Kernel { action: action.into(), source }
}

/// A map operation failed.
pub(super) fn on_map(name: &'static str) -> impl Fn(MapError) -> DatapathError {
    move |error| DatapathError::Kernel { action: format!("use the map {name}"), source: flat(&error) }
}

/// A call for many entries failed, perhaps for want of room.
pub(super) fn refused(name: &'static str) -> impl Fn(io::Error) -> DatapathError {
    move |source| {
        if source.raw_os_error() == Some(Errno::TOOBIG.raw_os_error()) {
            return DatapathError::Full { map: name };
        }
        DatapathError::Kernel { action: format!("use the map {name}"), source }
    }
}

/// Setting an entry failed, perhaps for want of room.
pub(super) fn full_or_failed(name: &'static str) -> impl Fn(MapError) -> DatapathError {
    move |error| {
        let full = Some(Errno::TOOBIG.raw_os_error());
        if matches!(&error, MapError::SyscallError(call) if call.io_error.raw_os_error() == full) {
            return DatapathError::Full { map: name };
        }
        on_map(name)(error)
    }
}

/// Attaching a program failed.
pub(super) fn attach<E: Error>(hook: Hook) -> impl Fn(E) -> DatapathError {
    move |error| DatapathError::Kernel {
        action: format!("attach {} to device {}", hook.program.name(), hook.ifindex),
        source: flat(&error),
    }
}

/// Loading the programs or making the maps failed.
pub(super) fn refused_by_kernel(error: &dyn Error) -> DatapathError {
    DatapathError::Kernel { action: "load the kernel programs".into(), source: flat(error) }
}

/// A thing was asked for that cannot be.
pub(super) fn unsupported(what: &str) -> DatapathError {
    DatapathError::Kernel { action: format!("install {what}"), source: io::ErrorKind::Unsupported.into() }
}

/// An error with its causes on one line. The verifier's log, of thousands of lines, goes to the debug log.
fn flat(error: &dyn Error) -> io::Error {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    tracing::debug!("{text}");
    io::Error::other(text.lines().next().unwrap_or_default().to_owned())
}
