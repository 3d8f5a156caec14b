// A receiver of Tradly's webhooks. It needs .NET 8 or later and nothing else: make a project with
// `dotnet new web -o receiver`, put this in the place of its Program.cs, and there
//
//     PORT=3000 WEBHOOK_SECRET=whsec_... dotnet run
using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Threading.Channels;

const int largest = 1024 * 1024; // bytes of a body
// While the secret is being replaced, the next one is known too.
string[] secrets = [Required("WEBHOOK_SECRET"), Environment.GetEnvironmentVariable("WEBHOOK_SECRET_NEXT") ?? ""];
var tolerance = TimeSpan.FromMinutes(5); // that a request may be old, or the clocks differ

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
    var id = Text("id");
    if (seen.TryAdd(id, true))
    {
        waiting.Writer.TryWrite((id, Text("type"), body)); // the answer must not wait for the work
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

// Verify returns what is wrong with a request. X-Tradly-Signature is over the event's id alone, so that anybody who has seen one
// request could send another body with it. The signature over the body, byte for byte as it arrived, is in webhook-signature.
string? Verify(IHeaderDictionary headers, byte[] body)
{
    string id = headers["webhook-id"].ToString(), sent = headers["webhook-timestamp"].ToString();
    if (!Recent(sent)) return "the timestamp is missing or too old";
    var known = secrets.Where(secret => secret != "").ToArray();
    var tradly = headers["X-Tradly-Signature"].ToString();
    var ofId = known.Select(secret => Hex(HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), Encoding.UTF8.GetBytes(id))));
    if (!ofId.Any(one => Same(tradly, one))) return "X-Tradly-Signature is not valid";
    byte[] signed = [.. Encoding.UTF8.GetBytes($"{id}.{sent}."), .. body];
    var ofBody = known.Select(secret => Convert.FromBase64String(secret.Replace("whsec_", "")))
        .Select(key => "v1," + Convert.ToBase64String(HMACSHA256.HashData(key, signed))).ToArray();
    // While the secret is being replaced there are two signatures, of the old secret and of the new one.
    var given = headers["webhook-signature"].ToString().Split(' ');
    if (!given.Any(one => ofBody.Any(expected => Same(one, expected)))) return "webhook-signature is not valid";
    using var json = JsonDocument.Parse(body);
    return json.RootElement.GetProperty("id").GetString() == id ? null : "the body has another id than the header";
}

string Hex(byte[] hash) => Convert.ToHexString(hash).ToLowerInvariant();

bool Recent(string seconds) =>
    long.TryParse(seconds, NumberStyles.None, CultureInfo.InvariantCulture, out var sent)
    && Math.Abs(DateTimeOffset.UtcNow.ToUnixTimeSeconds() - sent) <= tolerance.TotalSeconds;

// Same takes as long for a guess that is almost right as for any other.
bool Same(string given, string expected) =>
    CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(given), Encoding.UTF8.GetBytes(expected));
