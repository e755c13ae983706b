//! One request and its answer over HTTP/2 (RFC 9113).

use std::io;

use bytes::Bytes;
use h2::Reason;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::answer::{Head, MAX_FIELDS, MAX_HEAD, Progress, too_large};
use crate::failure::{Failure, Kind, text};
use crate::hop::Hop;

/// Fields that belong to a connection of HTTP/1.1 (RFC 9113, section 8.2.2), and the one that `:authority` stands for.
const NOT_SENT: [&str; 6] = ["connection", "host", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

/// Send the hop's request and read the answer into `progress`.
pub async fn exchange<S>(stream: S, hop: &Hop, progress: &mut Progress) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut builder = h2::client::Builder::new();
    builder.enable_push(false).max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX));
    let (client, connection) = builder.handshake::<S, Bytes>(stream).await.map_err(|e| broken(&e))?;
    let mut asked = std::pin::pin!(ask(client, hop, progress));
    tokio::select! {
        biased;
        answered = &mut asked => return answered,
        _ = connection => {}
    }
    // What came before the connection ended may not be read yet; if it is not all, the answer says why.
    asked.await
}

async fn ask(client: SendRequest<Bytes>, hop: &Hop, progress: &mut Progress) -> Result<(), Failure> {
    let request = request(hop).map_err(|_| Failure::new(Kind::Own, "the request cannot be sent over HTTP/2"))?;
    let mut client = client.ready().await.map_err(|e| broken(&e))?;
    let (response, mut stream) = client.send_request(request, hop.body.is_none()).map_err(|e| broken(&e))?;
    if let Some(body) = &hop.body {
        stream.send_data(Bytes::copy_from_slice(body), true).map_err(|e| broken(&e))?;
    }
    progress.sent();
    read(response, hop, progress).await
}

async fn read(response: ResponseFuture, hop: &Hop, progress: &mut Progress) -> Result<(), Failure> {
    let (parts, mut body) = response.await.map_err(|e| broken(&e))?.into_parts();
    progress.byte_came();
    if parts.headers.len() > MAX_FIELDS {
        return Err(too_large());
    }
    let letters = |value: &HeaderValue| value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
    let fields = parts.headers.iter().map(|(name, value)| (name.to_string(), letters(value)));
    let head = Head { version: "2", status: parts.status.as_u16(), fields: fields.collect() };
    let wanted = hop.wants_body(&head);
    progress.leads_on = hop.leads_on(&head);
    progress.head(head);
    while let (true, Some(data)) = (wanted, body.data().await) {
        let data = match data {
            // Browsers and curl take that for the end of the body.
            Err(error) if error.is_reset() && error.is_remote() && error.reason() == Some(Reason::NO_ERROR) => break,
            data => data.map_err(|error| Failure { kind: Kind::Body, ..broken(&error) })?,
        };
        if progress.body(&data, hop.max_body) {
            break;
        }
        let _ = body.flow_control().release_capacity(data.len());
    }
    Ok(())
}

fn request(hop: &Hop) -> http::Result<Request<()>> {
    let scheme = if hop.tls { "https" } else { "http" };
    let host = hop.field("host").map_or(hop.authority.as_str().into(), String::from_utf8_lossy);
    let mut request = Request::builder().method(hop.method.as_str()).uri(format!("{scheme}://{host}{}", hop.path));
    let mut fields = HeaderMap::new();
    for (name, value) in hop.fields() {
        let name = HeaderName::from_bytes(name)?;
        if !NOT_SENT.contains(&name.as_str()) {
            fields.append(name, HeaderValue::from_bytes(value)?);
        }
    }
    if let Some(length) = hop.content_length() {
        fields.insert(http::header::CONTENT_LENGTH, length.into());
    }
    if let Some(headers) = request.headers_mut() {
        *headers = fields;
    }
    request.version(http::Version::HTTP_2).body(())
}

/// What went wrong, in the names that the standard has for it (RFC 9113, section 7).
fn broken(error: &h2::Error) -> Failure {
    let reason = error.reason().map_or_else(String::new, |reason| format!(": {reason:?}"));
    let what = match (error.get_io(), error.is_remote()) {
        (Some(error), _) if error.kind() == io::ErrorKind::UnexpectedEof => "closed within the answer".into(),
        (Some(error), _) => text(error),
        (None, true) if error.is_go_away() => format!("the website ended the connection{reason}"),
        (None, true) => format!("the website gave up the request{reason}"),
        (None, false) => format!("the answer is not HTTP/2{reason}"),
    };
    let older = error.is_remote() && error.reason() == Some(Reason::HTTP_1_1_REQUIRED);
    Failure::new(if older { Kind::Older } else { Kind::Answer }, what)
}
