// A receiver of Rheo's webhooks. It needs .NET 8 or later and nothing else: make a project with
// `dotnet new web -o receiver`, put this in the place of its Program.cs, and there
//
//     PORT=3000 WEBHOOK_SECRET=whsec_... dotnet run
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Threading.Channels;

const int largest = 1024 * 1024; // bytes of a body
// While the secret is being replaced, the next one is known too. The key is the secret as it is shown, whsec_ included.
string[] secrets = [Required("WEBHOOK_SECRET"), Environment.GetEnvironmentVariable("WEBHOOK_SECRET_NEXT") ?? ""];

// The same event can arrive twice. In your program `seen` is a table of your database with a unique id, and the event is in
// it before the answer: what was answered with 2xx is not sent again.
var seen = new ConcurrentDictionary<string, bool>();
var waiting = Channel.CreateUnbounded<(string Id, string Type, byte[] Body)>();

var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = largest); // more is answered with 413
var app = builder.Build();

app.MapPost("/{**path}", async (HttpRequest request) =>
{
    using var arrived = new MemoryStream();
    await request.Body.CopyToAsync(arrived);
    var body = arrived.ToArray();
    if (Verify(request.Headers, body) is string wrong) return Results.Text(wrong, statusCode: 401);
    using var json = JsonDocument.Parse(body);
    string Text(string name) => json.RootElement.GetProperty(name).GetString() ?? "";
    var id = Text("eventId");
    if (seen.TryAdd(id, true))
    {
        waiting.Writer.TryWrite((id, Text("eventType"), body)); // the answer must not wait for the work
    }
    return Results.Text("ok");
});

_ = Task.Run(async () =>
{
    await foreach (var one in waiting.Reader.ReadAllAsync())
    {
        Console.WriteLine($"handled {one.Type} {one.Id}");
    }
});
app.Run($"http://127.0.0.1:{Required("PORT")}");

string Required(string name) => Environment.GetEnvironmentVariable(name) ?? throw new InvalidOperationException($"{name} is not set");

// Verify returns what is wrong with a request. The body is what arrived, byte for byte: that is what was signed.
string? Verify(IHeaderDictionary headers, byte[] body)
{
    var given = headers["X-Rheo-Signature"].ToString();
    var expected = secrets.Where(secret => secret != "")
        .Select(secret => "sha256=" + Hex(HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), body)));
    return expected.Any(one => Same(given, one)) ? null : "the signature is not valid";
}

string Hex(byte[] hash) => Convert.ToHexString(hash).ToLowerInvariant();

// Same takes as long for a guess that is almost right as for any other.
bool Same(string given, string expected) =>
    CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(given), Encoding.UTF8.GetBytes(expected));
