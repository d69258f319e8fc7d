package wire

import "google.golang.org/grpc"

// window is how much may be under way without an answer, in bytes: more than a
// frame. A fixed window also spares gRPC its pings to find one.
const window = 1 << 20

// GRPCServerOptions are those of a plugin's gRPC server, whose own default
// refuses messages above 4 MiB.
func GRPCServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(MaxMessageBytes),
		grpc.MaxSendMsgSize(MaxMessageBytes),
		grpc.InitialWindowSize(window),
		grpc.InitialConnWindowSize(window),
	}
}

// GRPCDialOptions is what the host adds to go-plugin's dial options, whose
// own default accepts messages of any size.
func GRPCDialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(callOptions()...),
		grpc.WithInitialWindowSize(window),
		grpc.WithInitialConnWindowSize(window),
	}
}

func callOptions() []grpc.CallOption {
	return []grpc.CallOption{
		grpc.MaxCallRecvMsgSize(MaxMessageBytes),
		grpc.MaxCallSendMsgSize(MaxMessageBytes),
	}
}
