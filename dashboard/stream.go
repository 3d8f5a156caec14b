package dashboard

// maxStreams is how many live tails one process serves at a time.
const maxStreams = 200
