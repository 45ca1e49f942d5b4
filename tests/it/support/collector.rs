//! A collector of traces and metrics, as a program beside the service would be one.

use std::sync::Arc;

use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    metrics::v1::ResourceMetrics,
    trace::v1::{ResourceSpans, Span},
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
struct Received {
    spans: Arc<Mutex<Vec<ResourceSpans>>>,
    metrics: Arc<Mutex<Vec<ResourceMetrics>>>,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let received = Received::default();
        let mut task = JoinSet::new();
        let server = Server::builder()
            .add_service(TraceServiceServer::new(received.clone()))
            .add_service(MetricsServiceServer::new(received.clone()));
        task.spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { endpoint, received, _task: task }
    }

    /// The traces that came so far.
    pub async fn received(&self) -> MutexGuard<'_, Vec<ResourceSpans>> {
        self.received.spans.lock().await
    }

    /// The same, without who they are of.
    pub async fn spans(&self) -> Vec<Span> {
        let received = self.received().await;
        received.iter().flat_map(|resource| &resource.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
    }

    /// The metrics that came so far, each time all of them.
    pub async fn metrics(&self) -> MutexGuard<'_, Vec<ResourceMetrics>> {
        self.received.metrics.lock().await
    }
}

#[async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.spans.lock().await.extend(request.into_inner().resource_spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[async_trait]
impl MetricsService for Received {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.metrics.lock().await.extend(request.into_inner().resource_metrics);
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}
