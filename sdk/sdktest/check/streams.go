package check

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// openStreams are the streams of go-plugin's own services. A host opens them
// with its connection, and they stay open.
type openStreams struct {
	cancel context.CancelFunc
	ends   sync.WaitGroup

	mu    sync.Mutex
	ended map[string]error
}

func openStreamsOf(ctx context.Context, conn *grpc.ClientConn) *openStreams {
	ctx, cancel := context.WithCancel(ctx)
	s := &openStreams{cancel: cancel, ended: make(map[string]error)}
	s.ends.Go(func() { s.hold(ctx, conn, "/plugin.GRPCStdio/StreamStdio", true) })
	s.ends.Go(func() { s.hold(ctx, conn, "/plugin.GRPCBroker/StartStream", false) })
	return s
}

// hold reads a stream until it ends.
func (s *openStreams) hold(ctx context.Context, conn *grpc.ClientConn, method string, ask bool) {
	desc := &grpc.StreamDesc{ServerStreams: true, ClientStreams: !ask}
	stream, err := conn.NewStream(ctx, desc, method)
	if err == nil && ask {
		if err = stream.SendMsg(&emptypb.Empty{}); err == nil {
			err = stream.CloseSend()
		}
	}
	for err == nil {
		err = stream.RecvMsg(&emptypb.Empty{}) // what it sends is of no interest
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended[method] = err
}

// broken returns what is known of streams that have ended.
func (s *openStreams) broken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for method, err := range s.ended {
		return fmt.Sprintf("%s ended: %s", method, plain(err))
	}
	return ""
}

func (s *openStreams) close() {
	s.cancel()
	s.ends.Wait()
}
