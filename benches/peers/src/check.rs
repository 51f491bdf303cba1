//! Does a server echo every byte, in order, and end as TCP says? A wrong echo has won before.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

/// Longer than anything here takes, shorter than patience.
const PATIENCE: Duration = Duration::from_secs(10);

/// A check, and what it is called.
type Check = (&'static str, fn(SocketAddr) -> io::Result<()>);

/// All checks, in the order in which they run against one server.
const CHECKS: [Check; 7] = [
    ("bytes of odd sizes come back in order", odd_sizes),
    ("after a half close all bytes and then the end come back", half_close),
    ("an empty connection that is half closed ends", empty_half_close),
    ("a reader that starts late gets all, its neighbours do not wait", late_reader),
    ("connections that are reset do no harm", resets),
    ("600 connections that send at once all get theirs", crowd),
    ("bytes of odd sizes come back in order, after all that", odd_sizes),
];

/// Runs every check; `Err` names the first that failed.
///
/// # Errors
///
/// The sentence of the check, and how it failed.
pub fn check(address: SocketAddr) -> Result<(), String> {
    for (sentence, check) in CHECKS {
        check(address).map_err(|error| format!("not so: {sentence}: {error}"))?;
    }
    Ok(())
}

/// How many checks a server passes.
#[must_use]
pub const fn count() -> usize {
    CHECKS.len()
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Bytes without a short period, so that a swap, a loss or a repeat of any piece shows.
fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

fn same(got: &[u8], sent: &[u8]) -> io::Result<()> {
    if got == sent {
        return Ok(());
    }
    let at = got.iter().zip(sent).take_while(|(a, b)| a == b).count();
    let text = format!("{} bytes of {} came, wrong from byte {at} on", got.len(), sent.len());
    Err(io::Error::other(text))
}

fn odd_sizes(address: SocketAddr) -> io::Result<()> {
    let mut stream = connect(address)?;
    for (seed, len) in [1, 2, 3, 4095, 4096, 4097, 8192, 12_289, 65_537].into_iter().enumerate() {
        let sent = pattern(seed as u64, len);
        stream.write_all(&sent)?;
        let mut got = vec![0; len];
        stream.read_exact(&mut got)?;
        same(&got, &sent)?;
    }
    Ok(())
}

fn half_close(address: SocketAddr) -> io::Result<()> {
    let mut stream = connect(address)?;
    let sent = pattern(7, 3_000_001);
    let mut writer = stream.try_clone()?;
    let copy = sent.clone();
    let writing = thread::spawn(move || -> io::Result<()> {
        writer.write_all(&copy)?;
        writer.shutdown(Shutdown::Write)
    });
    let mut got = Vec::new();
    stream.read_to_end(&mut got)?;
    writing.join().map_err(|_| io::Error::other("the writer panicked"))??;
    same(&got, &sent)
}

fn empty_half_close(address: SocketAddr) -> io::Result<()> {
    let mut stream = connect(address)?;
    stream.shutdown(Shutdown::Write)?;
    let mut got = Vec::new();
    stream.read_to_end(&mut got)?;
    same(&got, b"")
}

/// Fills every buffer on the way, so the server meets short writes, or runs out of buffers.
fn late_reader(address: SocketAddr) -> io::Result<()> {
    let mut late = Vec::new();
    for seed in 0..5 {
        let mut stream = connect(address)?;
        let bytes = pattern(seed, 48 << 20);
        stream.set_write_timeout(Some(Duration::from_millis(150)))?;
        let mut sent = 0;
        while sent < bytes.len() {
            match stream.write(&bytes[sent..]) {
                Ok(len) => sent += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        late.push((stream, bytes, sent));
    }
    odd_sizes(address)?;
    for (mut stream, bytes, sent) in late {
        stream.shutdown(Shutdown::Write)?;
        let mut got = Vec::with_capacity(sent);
        stream.read_to_end(&mut got)?;
        same(&got, &bytes[..sent])?;
    }
    Ok(())
}

fn resets(address: SocketAddr) -> io::Result<()> {
    for seed in 0..60 {
        let mut stream = connect(address)?;
        stream.write_all(&pattern(seed, 40_000))?;
        // Some at once, some while the server is in the middle of it.
        thread::sleep(Duration::from_micros(seed * 50));
        SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        drop(stream);
    }
    odd_sizes(address)
}

fn crowd(address: SocketAddr) -> io::Result<()> {
    let mut streams = (0..600).map(|_| connect(address)).collect::<io::Result<Vec<_>>>()?;
    for round in 0..3 {
        for (stream, seed) in streams.iter_mut().zip(1000 * round..) {
            stream.write_all(&pattern(seed, 5000))?;
        }
        for (stream, seed) in streams.iter_mut().zip(1000 * round..) {
            let mut got = vec![0; 5000];
            stream.read_exact(&mut got)?;
            same(&got, &pattern(seed, 5000))?;
        }
    }
    for stream in &mut streams {
        stream.shutdown(Shutdown::Write)?;
    }
    for mut stream in streams {
        same(&stream.read(&mut [0]).map(|len| vec![0; len])?, b"")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A server on threads that does `serve` with each connection.
    fn server(serve: fn(TcpStream) -> io::Result<()>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                thread::spawn(move || serve(stream?));
            }
        });
        address
    }

    #[test]
    fn a_right_echo_passes_the_quick_checks() {
        let address = server(|stream| io::copy(&mut &stream, &mut &stream).map(drop));
        odd_sizes(address).unwrap();
        half_close(address).unwrap();
        empty_half_close(address).unwrap();
    }

    #[test]
    fn a_changed_byte_is_named() {
        let address = server(|mut stream| {
            let mut bytes = [0; 3];
            stream.read_exact(&mut bytes[..1])?;
            stream.write_all(&bytes[..1])?;
            stream.read_exact(&mut bytes[..2])?;
            bytes.swap(0, 1);
            stream.write_all(&bytes[..2])?;
            io::copy(&mut stream, &mut io::sink()).map(drop)
        });
        let error = odd_sizes(address).unwrap_err().to_string();
        assert_eq!(error, "2 bytes of 2 came, wrong from byte 0 on");
    }

    #[test]
    fn an_echo_that_closes_at_the_half_close_is_caught() {
        let address = server(|mut stream| {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes)?;
            stream.write_all(&bytes[..bytes.len() / 2])
        });
        assert!(half_close(address).is_err());
    }
}
