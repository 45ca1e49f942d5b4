//! A server on a free port, and services that do what a test asks for.

use std::{net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use futures::{Stream, StreamExt as _, stream};
use roster_proto::v1::{
    Checkpoint, CreateRoleRequest, CreateRoleResponse, DeleteRoleRequest, DeleteRoleResponse, GetRoleRequest,
    GetRoleResponse, ListEventsRequest, ListEventsResponse, ListPermissionsRequest, ListPermissionsResponse,
    ListRolesRequest, ListRolesResponse, Role, UpdateRoleRequest, UpdateRoleResponse, WatchRequest, WatchResponse,
    event_service_client::EventServiceClient,
    event_service_server::{EventService, EventServiceServer},
    role_service_client::RoleServiceClient,
    role_service_server::{RoleService, RoleServiceServer},
    watch_response::Message,
};
use tokio::{
    net::TcpListener,
    sync::Notify,
    task::{JoinError, JoinHandle},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Request, Response, Status, service::Routes, transport::Channel};
use tonic_health::pb::health_client::HealthClient;

use crate::{
    application::Context,
    callers::Callers,
    config,
    env::Env,
    grpc::{
        auth::Authenticator,
        health::Health,
        server::{Error, Parts, serve},
    },
    metrics::Metrics,
    telemetry::{self, Meters},
};

/// A running server.
pub(super) struct Fixture {
    pub(super) address: SocketAddr,
    pub(super) channel: Channel,
    pub(super) draining: CancellationToken,
    /// Told when a call of `wait` has arrived.
    pub(super) waiting: Arc<Notify>,
    /// Lets that call go on.
    pub(super) go_on: Arc<Notify>,
    meters: Meters,
    serving: JoinHandle<Result<(), Error>>,
}

impl Fixture {
    pub(super) async fn start() -> Self {
        Self::with(|_, _| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut config::Server, &mut config::Auth)) -> Self {
        let (mut config, mut auth) = (config::Server::default(), config::Auth::default());
        change(&mut config, &mut auth);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let draining = CancellationToken::new();
        // Somebody may ask for the numbers; who asks here needs no port.
        let told = config::Telemetry { admin_listen: Some(address), ..config::Telemetry::default() };
        let meters = Meters::new(&told, &telemetry::resource(&told).unwrap()).unwrap();
        let (waiting, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let obliging = Obliging { waiting: waiting.clone(), go_on: go_on.clone() };
        let (env, tasks) = (Env::system(), TaskTracker::new());
        let started = Callers::start(&auth, &config, &env, &tasks, &CancellationToken::new()).unwrap();
        let parts = Parts {
            max_writes: config.max_in_flight,
            config,
            tls: started.tls,
            authenticator: match auth.mode {
                config::AuthMode::Development => Authenticator::Development,
                config::AuthMode::Credentials => Authenticator::Credentials(started.callers),
            },
            rates: None,
            env,
            health: Health::new().await.unwrap(),
            metrics: Metrics::new(&meters.meter()),
            routes: Routes::new(limited!(RoleServiceServer::new(obliging.clone())))
                .add_service(limited!(EventServiceServer::new(obliging))),
        };
        let serving = TaskTracker::new().spawn(serve(listener, parts, draining.clone()));
        let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Self { address, channel, draining, waiting, go_on, meters, serving }
    }

    pub(super) fn roles(&self) -> RoleServiceClient<Channel> {
        RoleServiceClient::new(self.channel.clone()).max_decoding_message_size(8 << 20)
    }

    pub(super) fn events(&self) -> EventServiceClient<Channel> {
        EventServiceClient::new(self.channel.clone())
    }

    pub(super) fn health(&self) -> HealthClient<Channel> {
        HealthClient::new(self.channel.clone())
    }

    /// The number in the line that begins with this; 0 if there is none.
    pub(super) fn number(&self, series: &str) -> u64 {
        let text = self.meters.text().unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// How the server ended.
    pub(super) async fn ended(self) -> Result<(), JoinError> {
        drop(self.channel);
        self.serving.await.map(|ended| ended.unwrap())
    }

    /// Drops the server in the middle of its work.
    pub(super) fn abandon(self) {
        self.serving.abort();
    }
}

/// Does what the request names.
#[derive(Debug, Clone)]
struct Obliging {
    waiting: Arc<Notify>,
    go_on: Arc<Notify>,
}

#[tonic::async_trait]
impl RoleService for Obliging {
    async fn get_role(&self, request: Request<GetRoleRequest>) -> Result<Response<GetRoleResponse>, Status> {
        let cx = request.extensions().get::<Context>().cloned().unwrap();
        let mut description = String::new();
        match request.get_ref().role_id.as_str() {
            "who" => {
                let acting = cx.principal.person.map(|person| format!(" for {person}")).unwrap_or_default();
                description = format!("{}{acting} in {}", cx.principal.caller.name(), cx.call_id);
            }
            "panic" => panic!("hunter2"),
            "slow" => tokio::time::sleep(Duration::from_mins(1)).await,
            "wait" => {
                self.waiting.notify_one();
                self.go_on.notified().await;
            }
            "large" => description = "x".repeat(5 << 20),
            other => panic!("no test asks for {other}"),
        }
        let headers: Vec<_> = request.metadata().keys().map(|key| format!("{key:?}")).collect();
        let role = Role { description, name: headers.join(" "), ..Default::default() };
        Ok(Response::new(GetRoleResponse { role: Some(role) }))
    }

    async fn list_roles(&self, _: Request<ListRolesRequest>) -> Result<Response<ListRolesResponse>, Status> {
        unreachable!("no test asks for it")
    }

    async fn create_role(&self, _: Request<CreateRoleRequest>) -> Result<Response<CreateRoleResponse>, Status> {
        unreachable!("no test asks for it")
    }

    async fn update_role(&self, _: Request<UpdateRoleRequest>) -> Result<Response<UpdateRoleResponse>, Status> {
        unreachable!("no test asks for it")
    }

    async fn delete_role(&self, _: Request<DeleteRoleRequest>) -> Result<Response<DeleteRoleResponse>, Status> {
        unreachable!("no test asks for it")
    }

    async fn list_permissions(
        &self,
        _: Request<ListPermissionsRequest>,
    ) -> Result<Response<ListPermissionsResponse>, Status> {
        unreachable!("no test asks for it")
    }
}

#[tonic::async_trait]
impl EventService for Obliging {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn list_events(&self, _: Request<ListEventsRequest>) -> Result<Response<ListEventsResponse>, Status> {
        unreachable!("no test asks for it")
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let panics = request.get_ref().team_id == "panic";
        let first = stream::iter(
            panics.then(|| Ok(WatchResponse { message: Some(Message::Checkpoint(Checkpoint::default())) })),
        );
        let then = stream::once(async move {
            tokio::task::yield_now().await;
            if panics { panic!("hunter2") } else { std::future::pending().await }
        });
        Ok(Response::new(first.chain(then).boxed()))
    }
}

/// Calls as a client makes them that knows no better.
pub(super) mod raw {
    use bytes::{BufMut as _, Bytes};
    use http_body::Frame;
    use prost::Message;
    use tonic::{Code, body::Body};
    use tonic_reflection::pb::{v1, v1alpha};
    use tower::{Service as _, ServiceExt as _};

    use super::{Channel, Fixture, Pin, Status};

    /// A message as it travels.
    pub(in super::super) fn frame(message: &impl Message) -> Vec<u8> {
        let mut frame = vec![0];
        frame.put_u32(u32::try_from(message.encoded_len()).unwrap());
        message.encode(&mut frame).unwrap();
        frame
    }

    /// A request with this body.
    pub(in super::super) fn request(path: &str, body: Vec<u8>) -> http::Request<Body> {
        let mut request = http::Request::new(Body::new(Full(Some(body.into()))));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = path.parse().unwrap();
        request.headers_mut().insert("content-type", http::HeaderValue::from_static("application/grpc"));
        request
    }

    /// How the server refuses it.
    pub(in super::super) async fn call(fixture: &Fixture, request: http::Request<Body>) -> Status {
        let mut channel: Channel = fixture.channel.clone();
        let response = channel.ready().await.unwrap().call(request).await.unwrap();
        let status = Status::from_header_map(response.headers()).expect("a refusal");
        assert_ne!(status.code(), Code::Ok);
        status
    }

    macro_rules! reflect {
        ($name:ident, $version:ident) => {
            /// The services that reflection tells of.
            pub(in super::super) async fn $name(fixture: &Fixture) -> Result<Vec<String>, Status> {
                use $version::{
                    ServerReflectionRequest as Request, server_reflection_client::ServerReflectionClient as Client,
                    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
                };
                let list = Some(MessageRequest::ListServices(String::new()));
                let request = Request { message_request: list, ..Default::default() };
                let mut client = Client::new(fixture.channel.clone());
                let mut answers = client.server_reflection_info(tokio_stream::once(request)).await?.into_inner();
                match answers.message().await?.unwrap().message_response {
                    Some(MessageResponse::ListServicesResponse(list)) => {
                        Ok(list.service.into_iter().map(|service| service.name).collect())
                    }
                    other => panic!("{other:?}"),
                }
            }
        };
    }

    reflect!(reflect_v1, v1);
    reflect!(reflect_v1alpha, v1alpha);

    /// A body in one piece.
    struct Full(Option<Bytes>);

    impl http_body::Body for Full {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            std::task::Poll::Ready(self.0.take().filter(|bytes| !bytes.is_empty()).map(|bytes| Ok(Frame::data(bytes))))
        }
    }
}
