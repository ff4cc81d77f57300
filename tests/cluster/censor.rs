//! An orderer of the test's own that censors: it passes on what a real orderer serves, but no block from a
//! number on; headers it shows all.

use ledgercast_client::connection::Timeouts;
use ledgercast_client::{Connection, Connector};
use ledgercast_crypto::Msp;
use ledgercast_protocol::ledger::CertifiedHeader;
use ledgercast_protocol::types::{BlockNumber, Endpoint};
use ledgercast_protocol::wire::proto;
use std::net::TcpListener;
use std::path::Path;
use std::pin::Pin;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, async_trait};

mod generated {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    include!(concat!(env!("OUT_DIR"), "/ledgercast.v1.rs"));
}

use generated::deliver_server::{Deliver, DeliverServer};

/// A running censor; it ends with this.
pub(crate) struct Censor(#[expect(dead_code, reason = "the server lives in it")] Runtime);

struct Censoring {
    upstream: Connection,
    withheld_from: BlockNumber,
}

impl Censor {
    /// Listens at `address` with the TLS pair of an orderer's `home`, and reads what it passes on from
    /// `upstream` as the user of `reader`.
    pub(crate) fn start(
        (address, home): (&str, &Path),
        (upstream, reader): (&Endpoint, &Path),
        withheld_from: u64,
    ) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let listener = TcpListener::bind(address).expect("its port is free");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let tls = Msp::load(&home.join("msp")).expect("an identity").tls.expect("a TLS pair");
        let (reader, roots) = (Msp::load(reader).expect("an identity"), vec![]);
        let orderers = Msp::load(&home.join("msp")).expect("an identity").org.tls_roots;
        let roots: Vec<bytes::Bytes> = orderers.into_iter().chain(roots).collect();
        let connector = Connector::new(&reader, None, Timeouts::default()).expect("a TLS pair");
        runtime.block_on(async {
            let upstream = connector.connect(upstream, &roots).await.expect("the orderer answers");
            let service = Censoring { upstream, withheld_from: BlockNumber::new(withheld_from) };
            let identity = Identity::from_pem(&tls.certificate_pem, tls.key_pem.as_bytes());
            let server = Server::builder()
                .tls_config(ServerTlsConfig::new().identity(identity))
                .expect("a TLS pair")
                .add_service(DeliverServer::new(service));
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        });
        Self(runtime)
    }
}

#[async_trait]
impl Deliver for Censoring {
    type ConfigsStream = Pin<Box<dyn Stream<Item = Result<proto::Block, Status>> + Send>>;

    /// Peers never ask for configs alone.
    async fn configs(
        &self,
        _request: Request<proto::ConfigsRequest>,
    ) -> Result<Response<Self::ConfigsStream>, Status> {
        Err(Status::unimplemented("this source gives blocks only"))
    }

    type BlocksStream = Pin<Box<dyn Stream<Item = Result<proto::Block, Status>> + Send>>;

    async fn blocks(
        &self,
        request: Request<proto::BlocksRequest>,
    ) -> Result<Response<Self::BlocksStream>, Status> {
        let request = request.into_inner();
        let (shows_all, withheld_from) = (request.headers_only, self.withheld_from);
        let blocks = self.upstream.deliver().blocks(request).await?.into_inner();
        let passed_on = blocks.take_while(move |block| shows_all || !is_from(block, withheld_from));
        Ok(Response::new(Box::pin(passed_on.chain(tokio_stream::pending()))))
    }
}

fn is_from(block: &Result<proto::Block, Status>, number: BlockNumber) -> bool {
    let header = block.as_ref().ok().and_then(|block| block.header.clone());
    let header = header.and_then(|header| CertifiedHeader::try_from(header).ok());
    header.is_some_and(|header| header.header.number() >= number)
}
