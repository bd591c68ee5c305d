//! A connection to UmaDB's service. Its own client package is generated when it is built, which
//! needs a compiler for its messages; these few calls do not.

use anyhow::Context;
use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Streaming};
use tonic_prost::ProstCodec;

use super::messages::{
    AppendRequest, AppendResponse, Events, HeadRequest, HeadResponse, ReadRequest, SubscribeRequest,
};

/// Bytes of a message that is received: what large batches need.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

#[derive(Clone)]
pub(super) struct Client(Grpc<Channel>);

impl Client {
    pub(super) async fn connect(address: &str) -> anyhow::Result<Client> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
        let channel = endpoint.connect().await.context("connect")?;
        let grpc = Grpc::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
        Ok(Client(grpc))
    }

    pub(super) async fn append(&self, request: AppendRequest) -> anyhow::Result<AppendResponse> {
        self.unary("/umadb.v1.DCB/Append", request).await
    }

    pub(super) async fn head(&self) -> anyhow::Result<Option<u64>> {
        let head: HeadResponse = self.unary("/umadb.v1.DCB/Head", HeadRequest {}).await?;
        Ok(head.position)
    }

    pub(super) async fn read(&self, request: ReadRequest) -> anyhow::Result<Streaming<Events>> {
        self.streaming("/umadb.v1.DCB/Read", request).await
    }

    pub(super) async fn subscribe(
        &self,
        request: SubscribeRequest,
    ) -> anyhow::Result<Streaming<Events>> {
        self.streaming("/umadb.v1.DCB/Subscribe", request).await
    }

    async fn unary<Q, A>(&self, path: &'static str, request: Q) -> anyhow::Result<A>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = self.0.clone();
        grpc.ready().await?;
        let path = PathAndQuery::from_static(path);
        let codec = ProstCodec::<Q, A>::default();
        let answer = grpc.unary(Request::new(request), path, codec).await?;
        Ok(answer.into_inner())
    }

    async fn streaming<Q>(
        &self,
        path: &'static str,
        request: Q,
    ) -> anyhow::Result<Streaming<Events>>
    where
        Q: Message + 'static,
    {
        let mut grpc = self.0.clone();
        grpc.ready().await?;
        let path = PathAndQuery::from_static(path);
        let codec = ProstCodec::<Q, Events>::default();
        let answer = grpc.server_streaming(Request::new(request), path, codec);
        Ok(answer.await?.into_inner())
    }
}
