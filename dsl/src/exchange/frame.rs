//! Frames on the pipe between the runtime and a compiler that runs as a child process.
//!
//! ```text
//! child → parent   Hello
//! parent → child   CompileRequest      child → parent   CompileResult      … until the parent closes the pipe
//! each frame: u32 little-endian length, then that many bytes of postcard
//! ```

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{self, Read, Write};

/// Version of the protocol; a parent that sees another one must not go on.
pub const PROTOCOL: u32 = 4;

/// Longest frame that a reader accepts, in bytes.
pub const MAX_FRAME: u32 = 1 << 28;

/// The first frame that the child writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`] of the child.
    pub protocol: u32,
    /// The compiler's version string: crate version and build hash; part of every cache key.
    pub compiler: String,
}

/// Writes one message as a frame and flushes.
///
/// # Errors
/// Those of the pipe; `InvalidInput` if the message is longer than [`MAX_FRAME`] or cannot be serialised.
pub fn write<T: Serialize>(w: &mut impl Write, message: &T) -> io::Result<()> {
    let bytes = postcard::to_stdvec(message)
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e.to_string()))?;
    let len = u32::try_from(bytes.len()).ok().filter(|n| *n <= MAX_FRAME);
    let Some(len) = len else {
        let fact = format!("message of {} bytes is longer than a frame may be ({MAX_FRAME})", bytes.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, fact));
    };
    w.write_all(&len.to_le_bytes())?;
    w.write_all(&bytes)?;
    w.flush()
}

/// Reads one message. `None`: the other side closed the pipe between two frames.
///
/// # Errors
/// Those of the pipe; `UnexpectedEof` if it ends inside a frame; `InvalidData` if the frame is too long or does not
/// hold a `T`.
pub fn read<T: DeserializeOwned>(r: &mut impl Read) -> io::Result<Option<T>> {
    let mut head = [0u8; 4];
    let mut have = 0;
    while have < 4 {
        match r.read(&mut head[have..]) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let len = u32::from_le_bytes(head);
    if len > MAX_FRAME {
        let fact = format!("frame of {len} bytes is longer than a frame may be ({MAX_FRAME})");
        return Err(io::Error::new(io::ErrorKind::InvalidData, fact));
    }
    // Grows with what arrives: a corrupt length does not allocate by itself.
    let mut bytes = Vec::new();
    r.take(u64::from(len)).read_to_end(&mut bytes)?;
    if bytes.len() != len as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    postcard::from_bytes(&bytes)
        .map(Some)
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("malformed frame: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello { protocol: PROTOCOL, compiler: "0.1.0+abc".into() }
    }

    #[test]
    fn a_frame_reads_back_and_a_closed_pipe_is_none() {
        let mut pipe = Vec::new();
        write(&mut pipe, &hello()).unwrap();
        write(&mut pipe, &7u32).unwrap();
        let mut r = pipe.as_slice();
        assert_eq!(read::<Hello>(&mut r).unwrap(), Some(hello()));
        assert_eq!(read::<u32>(&mut r).unwrap(), Some(7));
        assert_eq!(read::<u32>(&mut r).unwrap(), None);
    }

    #[test]
    fn a_truncated_frame_is_an_error() {
        let mut pipe = Vec::new();
        write(&mut pipe, &hello()).unwrap();
        for n in 1..pipe.len() {
            let e = read::<Hello>(&mut &pipe[..n]).unwrap_err();
            assert_eq!(e.kind(), io::ErrorKind::UnexpectedEof, "cut at {n}");
        }
    }

    #[test]
    fn a_corrupt_length_is_an_error_and_allocates_nothing() {
        let e = read::<Hello>(&mut [0xff; 8].as_slice()).unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::InvalidData);
        let e = read::<Hello>(&mut [0, 0, 0, 8, 1, 2].as_slice()).unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::UnexpectedEof);
    }
}
