package plugin

import (
	"context"
	"slices"
	"sync"

	"google.golang.org/grpc"
)

// dialed knows the gRPC connections to one instance. go-plugin forgets, and
// never closes, one whose plugin dies while it is being set up.
type dialed struct {
	mu    sync.Mutex
	conns []*grpc.ClientConn
}

// note is a stream interceptor: the first that go-plugin does with a connection
// is to open streams.
func (d *dialed) note(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string,
	open grpc.Streamer, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	d.mu.Lock()
	if !slices.Contains(d.conns, conn) {
		d.conns = append(d.conns, conn)
	}
	d.mu.Unlock()
	return open(ctx, desc, conn, method, options...)
}

// close closes all connections; most are closed already.
func (d *dialed) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, conn := range d.conns {
		_ = conn.Close()
	}
}
