//! The attacks, one by one.

use std::net::SocketAddr;

use futures::future::BoxFuture;
use roster_proto::v1::ListMembersRequest;
use tokio::net::TcpStream;

use crate::{
    limits::raw::framed,
    support::frames::{
        self, CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Ended, HEADERS, PING, PRIORITY,
        RST_STREAM, SETTINGS, WINDOW_UPDATE, connect, fields, flood, frame,
    },
};

pub const LIST_MEMBERS: &str = "/roster.v1.TeamService/ListMembers";

/// The most frames of one kind that an attack sends over one connection: more than any that works.
const MOST: u32 = 200_000;

const PROTOCOL_ERROR: u32 = 1;
const FRAME_SIZE_ERROR: u32 = 6;
const COMPRESSION_ERROR: u32 = 9;

/// An attack over one connection: how the server ended it, or `None` if it let it be.
pub struct Attack {
    pub name: &'static str,
    /// The error codes that the server may say it ends it with. None: what is sent costs so little that it need not.
    pub codes: &'static [u32],
    pub run: fn(SocketAddr, String) -> BoxFuture<'static, Option<Ended>>,
}

macro_rules! attack {
    ($name:expr, $codes:expr, $run:expr) => {
        Attack { name: $name, codes: $codes, run: |address, team| Box::pin($run(address, team)) }
    };
}

pub const ATTACKS: &[Attack] = &[
    attack!("rapid reset (CVE-2023-44487)", &[ENHANCE_YOUR_CALM], rapid_reset),
    attack!("resets that the server is made to do (CVE-2025-8671)", &[ENHANCE_YOUR_CALM], made_you_reset),
    attack!("continuation flood (CVE-2024-27316)", &[ENHANCE_YOUR_CALM, PROTOCOL_ERROR], continuation_flood),
    attack!("ping flood (CVE-2019-9512)", &[], ping_flood),
    attack!("settings flood (CVE-2019-9515)", &[], settings_flood),
    attack!("empty data flood (CVE-2019-9518)", &[ENHANCE_YOUR_CALM], empty_data_flood),
    attack!("small data flood", &[ENHANCE_YOUR_CALM], small_data_flood),
    attack!("window update flood", &[], window_flood),
    attack!("priority flood (CVE-2019-9513)", &[], priority_flood),
    attack!("frames of an unknown kind", &[], unknown_flood),
    attack!(
        "a bomb of header fields (CVE-2016-6581)",
        &[ENHANCE_YOUR_CALM, PROTOCOL_ERROR, COMPRESSION_ERROR],
        header_bomb
    ),
    attack!("another protocol", &[PROTOCOL_ERROR, FRAME_SIZE_ERROR], http_1),
];

/// The stream of the call with this number.
fn stream(number: u32) -> u32 {
    2 * number + 1
}

/// The frames of a call that is over when they are sent.
fn call(stream: u32, path: &str, message: &[u8]) -> Vec<u8> {
    [frame(HEADERS, END_HEADERS, stream, &fields(path)), frame(DATA, END_STREAM, stream, message)].concat()
}

async fn rapid_reset(address: SocketAddr, team: String) -> Option<Ended> {
    let message = framed(&ListMembersRequest { team_id: team, ..Default::default() });
    flood(connect(address).await, MOST, |number| {
        let reset = frame(RST_STREAM, 0, stream(number), &CANCEL.to_be_bytes());
        [call(stream(number), LIST_MEMBERS, &message), reset].concat()
    })
    .await
}

/// Calls that the server resets by itself, for a window update beyond all windows: no reset by the client.
async fn made_you_reset(address: SocketAddr, team: String) -> Option<Ended> {
    let message = framed(&ListMembersRequest { team_id: team, ..Default::default() });
    flood(connect(address).await, MOST, |number| {
        [call(stream(number), LIST_MEMBERS, &message), frame(WINDOW_UPDATE, 0, stream(number), &i32::MAX.to_be_bytes())]
            .concat()
    })
    .await
}

async fn continuation_flood(address: SocketAddr, _: String) -> Option<Ended> {
    let mut field = Vec::new();
    frames::literal(&mut field, "x", "1");
    flood(connect(address).await, MOST, |number| {
        if number == 0 { frame(HEADERS, 0, 1, &fields(LIST_MEMBERS)) } else { frame(CONTINUATION, 0, 1, &field) }
    })
    .await
}

async fn ping_flood(address: SocketAddr, _: String) -> Option<Ended> {
    flood(connect(address).await, MOST, |_| frame(PING, 0, 0, &[7; 8])).await
}

async fn settings_flood(address: SocketAddr, _: String) -> Option<Ended> {
    flood(connect(address).await, MOST, |_| frame(SETTINGS, 0, 0, &[])).await
}

/// Data of nothing for a call that has begun.
async fn empty_data_flood(address: SocketAddr, _: String) -> Option<Ended> {
    flood(connect(address).await, MOST, |number| {
        if number == 0 { frame(HEADERS, END_HEADERS, 1, &fields(LIST_MEMBERS)) } else { frame(DATA, 0, 1, &[]) }
    })
    .await
}

/// A byte at a time, of which none is ever asked for: what is known of each takes more room than the byte.
async fn small_data_flood(address: SocketAddr, _: String) -> Option<Ended> {
    flood(connect(address).await, MOST, |number| {
        if number == 0 { frame(HEADERS, END_HEADERS, 1, &fields("/nowhere")) } else { frame(DATA, 0, 1, &[0]) }
    })
    .await
}

async fn window_flood(address: SocketAddr, _: String) -> Option<Ended> {
    flood(connect(address).await, MOST, |_| frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())).await
}

async fn priority_flood(address: SocketAddr, _: String) -> Option<Ended> {
    flood(connect(address).await, MOST, |number| frame(PRIORITY, 0, stream(number), &[0, 0, 0, 0, 7])).await
}

async fn unknown_flood(address: SocketAddr, _: String) -> Option<Ended> {
    flood(connect(address).await, MOST, |_| frame(77, 0, 0, &[7; 3])).await
}

/// One long field that is written into the table, and calls that name it ten thousand times each in as many bytes.
async fn header_bomb(address: SocketAddr, _: String) -> Option<Ended> {
    let mut bomb = fields(LIST_MEMBERS);
    // With incremental indexing (RFC 7541, 6.2.1): it becomes the entry 62.
    bomb.extend([0x40, 1, b'x', 0x7f, 0xa1, 0x1e]);
    bomb.extend([b'y'; 4000]);
    bomb.extend([0b1011_1110; 10_000]);
    flood(connect(address).await, MOST / 100, |number| frame(HEADERS, END_HEADERS | END_STREAM, stream(number), &bomb))
        .await
}

async fn http_1(address: SocketAddr, _: String) -> Option<Ended> {
    let stream = TcpStream::connect(address).await.unwrap();
    flood(stream, MOST, |_| b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()).await
}
