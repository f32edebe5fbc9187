//! Where services listen: loopback unless told otherwise twice.

use std::net::{SocketAddr, TcpListener};

use windrow_common::{Error, Result};

/// Where a coordinator listens when nothing else is said.
pub const DEFAULT: &str = "127.0.0.1:7070";

/// Refuses addresses that other machines can reach, unless `insecure`: there is no encryption and no authentication yet.
pub fn check(address: SocketAddr, insecure: bool) -> Result<SocketAddr> {
    if insecure || address.ip().is_loopback() {
        return Ok(address);
    }
    Err(Error::user(format!(
        "{address} can be reached from other machines, and there is no encryption or authentication; \
         listen on 127.0.0.1, or give --insecure if the network is your own"
    )))
}

/// The default address, or a free port if something listens there.
pub fn default_or_free() -> SocketAddr {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let default: SocketAddr = DEFAULT.parse().unwrap_or(free);
    if TcpListener::bind(default).is_ok() { default } else { free }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_open_without_a_word() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert!(check(address("127.0.0.1:0"), false).is_ok());
        assert!(check(address("[::1]:7070"), false).is_ok());
        assert!(check(address("0.0.0.0:7070"), false).is_err());
        assert!(check(address("0.0.0.0:7070"), true).is_ok());
    }
}
