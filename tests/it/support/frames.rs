//! HTTP/2 as somebody speaks it who means harm: frame by frame, whatever the rules say (RFC 9113).

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, tcp::OwnedReadHalf},
    time::timeout,
};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// The error code CANCEL.
pub const CANCEL: u32 = 8;
/// The error code `ENHANCE_YOUR_CALM`.
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// For how long a test waits for the server to do something before it fails.
const PATIENCE: Duration = Duration::from_mins(2);

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The header fields of a call, each as a literal that is not indexed (RFC 7541, 6.2.2).
pub fn fields(path: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86]; // POST, http
    literal(&mut block, ":path", path);
    literal(&mut block, ":authority", "localhost");
    literal(&mut block, "content-type", "application/grpc");
    literal(&mut block, "te", "trailers");
    block
}

/// Adds a field of at most 126 bytes each.
pub fn literal(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for text in [name, value] {
        assert!(text.len() < 127);
        block.push(u8::try_from(text.len()).unwrap());
        block.extend_from_slice(text.as_bytes());
    }
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The error code of the server's last GOAWAY, if one arrived.
    pub goaway: Option<u32>,
}

/// A connection on which HTTP/2 has begun.
pub async fn connect(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
    stream
}

/// Sends what `next` makes of numbers, as fast as it is taken, until the server ends the connection, and tells how. `None`
/// if it has taken so many and did not.
pub async fn flood(stream: TcpStream, most: u32, next: impl Fn(u32) -> Vec<u8>) -> Option<Ended> {
    let (reader, mut writer) = stream.into_split();
    let writing = async {
        for number in 0..most / 64 {
            let batch: Vec<u8> = (number * 64..(number + 1) * 64).flat_map(&next).collect();
            if writer.write_all(&batch).await.is_err() {
                // What the server said before it closed may still be there to be read.
                std::future::pending::<()>().await;
            }
        }
    };
    let reading = end(reader);
    timeout(PATIENCE, async {
        tokio::select! {
            ended = reading => Some(ended),
            () = writing => None,
        }
    })
    .await
    .expect("the server neither takes more nor ends the connection")
}

/// Reads until the server ends the connection.
pub async fn end(mut reader: OwnedReadHalf) -> Ended {
    let mut ended = Ended { goaway: None };
    while let Ok((kind, _, payload)) = try_read(&mut reader).await {
        if kind == GOAWAY {
            ended.goaway = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
    }
    ended
}

/// Reads until the server has answered a ping.
pub async fn pong(stream: &mut TcpStream) {
    loop {
        if let (PING, 1, _) = read(stream).await {
            return;
        }
    }
}

/// The next frame: its type, its flags and what it holds.
pub async fn read(stream: &mut TcpStream) -> (u8, u8, Vec<u8>) {
    try_read(stream).await.unwrap()
}

/// The same of a connection that may have ended.
pub async fn try_read(reader: &mut (impl AsyncRead + Unpin)) -> std::io::Result<(u8, u8, Vec<u8>)> {
    let mut head = [0; 9];
    reader.read_exact(&mut head).await?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    reader.read_exact(&mut payload).await?;
    Ok((head[3], head[4], payload))
}
