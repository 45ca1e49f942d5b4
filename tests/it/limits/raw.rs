//! Calls as no generated client makes them: byte by byte, over HTTP/2.

use std::net::SocketAddr;

use bytes::Bytes;
use http::HeaderMap;
use prost::Message;
use tokio::net::TcpStream;
use tonic::{Code, Status};

use crate::support::outcome::{Refusal, error_info};

/// What came back.
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) status: Status,
}

impl Answer {
    /// The refusal, which must have this code and this reason.
    #[track_caller]
    pub(super) fn refused(self, code: Code, reason: &str) -> Refusal {
        let info = error_info(&self.status);
        assert_eq!((self.status.code(), info.reason.as_str()), (code, reason), "{:?}", self.status);
        Refusal { metadata: info.metadata, status: self.status }
    }
}

/// Calls a path with these headers and these bytes, on a connection of its own.
pub(super) async fn call(address: SocketAddr, path: &str, headers: &[(&'static str, &str)], body: Vec<u8>) -> Answer {
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let exchange = async {
        let mut client = client.ready().await.unwrap();
        let mut request = http::Request::post(format!("http://{address}{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (response, mut sending) = client.send_request(request.body(()).unwrap(), false).unwrap();
        sending.send_data(Bytes::from(body), true).unwrap();
        let (head, mut body) = response.await.unwrap().into_parts();
        let status = if let Some(status) = Status::from_header_map(&head.headers) {
            status
        } else {
            while let Some(data) = body.data().await {
                body.flow_control().release_capacity(data.unwrap().len()).unwrap();
            }
            Status::from_header_map(&body.trailers().await.unwrap().unwrap()).unwrap()
        };
        Answer { headers: head.headers, status }
    };
    tokio::select! {
        biased;
        answer = exchange => answer,
        ended = connection => panic!("the connection ended: {ended:?}"),
    }
}

/// A message as it travels: a flag, its length, and its bytes.
pub fn framed(message: &impl Message) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    [&[0][..], &u32::try_from(bytes.len()).unwrap().to_be_bytes(), &bytes].concat()
}
