import java.io.*;
import java.lang.management.ManagementFactory;
import java.nio.file.*;
import java.util.*;
import org.bouncycastle.asn1.DERNull;
import org.bouncycastle.asn1.nist.NISTObjectIdentifiers;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.operator.*;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.tsp.*;
import org.bouncycastle.tsp.ers.*;

/** Bouncy Castle's evidence records, for bench/batches.py: `make COUNT` writes a request, reads a response, makes the records; `check FOLDER` reads ours. */
public class Batches {
    static long processor() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    public static void main(String[] args) throws Exception {
        DigestCalculatorProvider provider = new JcaDigestCalculatorProviderBuilder().build();
        if (args[0].equals("make")) make(Integer.parseInt(args[1]), provider);
        else check(Path.of(args[1]), provider);
    }

    static void make(int count, DigestCalculatorProvider provider) throws Exception {
        DigestCalculator sha256 = provider.get(new AlgorithmIdentifier(NISTObjectIdentifiers.id_sha256, DERNull.INSTANCE));
        Random random = new Random(1);
        List<ERSData> data = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            byte[] digest = new byte[32];
            random.nextBytes(digest);
            data.add((calculator, previous) -> digest);
        }
        long began = processor();
        ERSArchiveTimeStampGenerator generator = new ERSArchiveTimeStampGenerator(sha256);
        generator.addAllData(data);
        TimeStampRequestGenerator requests = new TimeStampRequestGenerator();
        requests.setCertReq(true);
        TimeStampRequest request = generator.generateTimeStampRequest(requests);
        byte[] asked = request.getEncoded();
        DataOutputStream out = new DataOutputStream(System.out);
        out.writeInt(asked.length);
        out.write(asked);
        out.flush();
        DataInputStream in = new DataInputStream(System.in);
        byte[] answer = new byte[in.readInt()];
        in.readFully(answer);
        List<ERSArchiveTimeStamp> stamps = generator.generateArchiveTimeStamps(new TimeStampResponse(answer));
        ERSEvidenceRecordGenerator records = new ERSEvidenceRecordGenerator(provider);
        long bytes = 0;
        for (ERSArchiveTimeStamp stamp : stamps) bytes += records.generate(stamp).getEncoded().length;
        out.writeUTF((processor() - began) + " " + stamps.size() + " " + bytes);
        out.flush();
    }

    static void check(Path folder, DigestCalculatorProvider provider) throws Exception {
        int good = 0, bad = 0;
        List<Path> paths;
        try (var found = Files.walk(folder)) {
            paths = found.filter(p -> p.toString().endsWith(".ers")).toList();
        }
        for (Path path : paths) {
            byte[] document = Files.readAllBytes(Path.of(path.toString().replaceAll("\\.ers$", "")));
            ERSEvidenceRecord record = new ERSEvidenceRecord(Files.readAllBytes(path), provider);
            try {
                record.validatePresent(new ERSByteData(document), new Date());
                good++;
            } catch (ERSException error) {
                if (bad++ == 0) System.out.println(path + ": " + error.getMessage());
            }
        }
        System.out.println(good + " hold, " + bad + " do not");
    }
}
