//! Socket addresses in the kernel's form.

use std::{
    mem,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
};

/// Room for an IPv4 or IPv6 address: what the kernel reads in a connect and writes in an accept.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) union RawAddr {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
    bytes: [u8; size_of::<libc::sockaddr_in6>()],
}

pub(crate) const ADDR_BYTES: u32 = 28;
const _: () = assert!(size_of::<RawAddr>() == ADDR_BYTES as usize);

#[expect(clippy::cast_possible_truncation, reason = "address families are small")]
const AF_INET: u16 = libc::AF_INET as u16;
#[expect(clippy::cast_possible_truncation, reason = "address families are small")]
const AF_INET6: u16 = libc::AF_INET6 as u16;

impl RawAddr {
    pub(crate) const EMPTY: Self = Self { bytes: [0; size_of::<libc::sockaddr_in6>()] };

    /// The address, and how many bytes of it count.
    pub(crate) fn new(addr: &SocketAddr) -> (Self, u32) {
        let mut raw = Self::EMPTY;
        match addr {
            SocketAddr::V4(addr) => {
                raw.v4 = libc::sockaddr_in {
                    sin_family: AF_INET,
                    sin_port: addr.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(addr.ip().octets()) },
                    sin_zero: [0; 8],
                };
                (raw, 16)
            }
            SocketAddr::V6(addr) => {
                raw.v6 = libc::sockaddr_in6 {
                    sin6_family: AF_INET6,
                    sin6_port: addr.port().to_be(),
                    sin6_flowinfo: addr.flowinfo(),
                    sin6_addr: libc::in6_addr { s6_addr: addr.ip().octets() },
                    sin6_scope_id: addr.scope_id(),
                };
                (raw, 28)
            }
        }
    }

    /// The address of the first `length` bytes, if it is an IPv4 or IPv6 one.
    pub(crate) fn get(&self, length: u32) -> Option<SocketAddr> {
        // SAFETY: all bytes are initialised from `EMPTY` on, and every pattern is a valid number.
        let family = unsafe { self.v4.sin_family };
        if family == AF_INET && length >= 16 {
            // SAFETY: as above.
            let v4 = unsafe { self.v4 };
            let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
            return Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into());
        }
        if family == AF_INET6 && length >= 28 {
            // SAFETY: as above.
            let v6 = unsafe { self.v6 };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            return Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into());
        }
        None
    }
}

impl std::fmt::Debug for RawAddr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.get(u32::try_from(mem::size_of_val(self)).unwrap_or(0)) {
            Some(addr) => addr.fmt(f),
            None => f.write_str("unspecified"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_the_bytes_that_bind_takes() {
        let (raw, length) = RawAddr::new(&"127.0.0.1:7878".parse().unwrap());
        // family 2, port and address in network order
        // SAFETY: all bytes are initialised.
        let bytes = unsafe { raw.bytes };
        assert_eq!(bytes[..8], [2, 0, 0x1e, 0xc6, 127, 0, 0, 1]);
        assert_eq!(length, 16);
    }

    #[test]
    fn addresses_come_back_as_they_went_in() {
        for text in ["1.2.3.4:5", "[::1]:65535", "[fe80::1%7]:80"] {
            let addr: SocketAddr = text.parse().unwrap();
            let (raw, length) = RawAddr::new(&addr);
            assert_eq!(raw.get(length), Some(addr));
            assert_eq!(raw.get(length - 1), None, "a cut address is none");
        }
    }
}
