//! A collector of traces, as a program beside the service would be one.

use std::sync::Arc;

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::ResourceSpans,
};
use tokio::{
    net::TcpListener,
    sync::{Mutex, MutexGuard},
    task::JoinSet,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, async_trait, transport::Server};

/// Takes what is exported, and keeps it.
pub struct Collector {
    /// Where it listens.
    pub endpoint: String,
    received: Received,
    _task: JoinSet<Result<(), tonic::transport::Error>>,
}

#[derive(Clone, Default)]
struct Received(Arc<Mutex<Vec<ResourceSpans>>>);

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let received = Received::default();
        let mut task = JoinSet::new();
        let server = Server::builder().add_service(TraceServiceServer::new(received.clone()));
        task.spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { endpoint, received, _task: task }
    }

    /// What came so far.
    pub async fn received(&self) -> MutexGuard<'_, Vec<ResourceSpans>> {
        self.received.0.lock().await
    }
}

#[async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().await.extend(request.into_inner().resource_spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
